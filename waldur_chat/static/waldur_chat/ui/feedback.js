// Thumbs up and down, and the form that asks what was wrong.

import { explain, Problem } from "../net/problems.js";
import { rateMessage } from "../net/store.js";
import { announce, say, words } from "./i18n.js";

/** Say that the shown version of an answer was good, or that it was not: then the form opens. */
export async function rate(turn, score) {
  const version = turn.answers.shown;
  closeForm(turn);
  if (version.score !== score && !(await save(turn, version, { score }))) return;
  if (!score) openForm(turn, version);
}

/** Whether it was saved; what it was before comes back if not. */
async function save(turn, version, feedback) {
  const before = { score: version.score, comment: version.comment, category: version.category };
  Object.assign(version, { comment: "", category: "", ...feedback });
  turn.showRating();
  try {
    await rateMessage(version.uuid, feedback);
    say("");
    announce(words.thanks);
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    Object.assign(version, before);
    turn.showRating();
    say(explain(error));
    return false;
  }
}

function openForm(turn, version) {
  const form = document.getElementById("feedback").content.cloneNode(true).firstElementChild;
  const { category, comment } = form.elements;
  category.value = version.category ?? "";
  comment.value = version.comment ?? "";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const feedback = { score: false };
    if (category.value) feedback.category = category.value;
    if (comment.value.trim()) feedback.comment = comment.value.trim();
    if (await save(turn, version, feedback)) closeForm(turn);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    closeForm(turn);
  });
  form.querySelector("[type=button]").addEventListener("click", () => closeForm(turn));
  turn.element.querySelector(".answer").append(form);
  category.focus();
  form.scrollIntoView({ block: "nearest" });
}

function closeForm(turn) {
  const form = turn.element.querySelector(".feedback");
  const hadFocus = form?.contains(document.activeElement);
  form?.remove();
  if (hadFocus) turn.element.querySelector("[data-act=down]").focus();
}
