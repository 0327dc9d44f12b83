// Rating of answers, and the form for negative feedback.

import { explain } from "./explain.js";
import { announce, showNotice, strings } from "./i18n.js";
import { Problem } from "../net/problems.js";
import { rateMessage } from "../net/store.js";

/** Rate the shown version of an answer; a negative rating opens the form. */
export async function rate(turn, score) {
  const version = turn.answers.shown;
  closeForm(turn);
  if (version.score !== score && !(await save(turn, version, { score }))) return;
  if (!score) openForm(turn, version);
}

/** Save feedback; restores the old state and returns false if that fails. */
async function save(turn, version, feedback) {
  const before = { score: version.score, comment: version.comment, category: version.category };
  Object.assign(version, { comment: "", category: "", ...feedback });
  turn.showRating();
  try {
    await rateMessage(version.uuid, feedback);
    showNotice("");
    announce(strings.thanks);
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    Object.assign(version, before);
    turn.showRating();
    showNotice(explain(error));
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
