// Editing a question in place.

import { fit, isComposing, isEnter } from "./composer.js";

/** Open the editor in `turn`; `accept(text)` receives the text, and returns whether to close the editor. */
export function openEditor(turn, accept) {
  const question = turn.element.querySelector(".question");
  if (question.querySelector(".editor")) return;
  const form = document.getElementById("editor").content.cloneNode(true).firstElementChild;
  const [text] = form.elements;
  const shown = [...question.querySelectorAll("p, .tools")].filter((node) => !node.hidden);
  const show = (isEdited) => shown.forEach((node) => (node.hidden = isEdited));
  const close = () => {
    form.remove();
    show(false);
  };
  const leave = () => {
    close();
    question.querySelector("[data-act=edit]").focus();
  };
  const submit = () => text.value.trim() && accept(text.value.trim()) && close();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.querySelector("[type=button]").addEventListener("click", leave);
  form.addEventListener("keydown", (event) => {
    const isLeaving = event.key === "Escape" && !isComposing(event);
    if (!isLeaving && !(isEnter(event) && event.target === text)) return;
    event.preventDefault();
    isLeaving ? leave() : submit();
  });
  text.addEventListener("input", () => fit(text));
  text.value = turn.question;
  show(true);
  question.append(form);
  fit(text);
  text.focus();
}
