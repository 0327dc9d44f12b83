// The form with which the assistant asks. Its answer is the next question of the user, in words, as Waldur's page has it.

import { element } from "../markdown/inline.js";
import { strings } from "../ui/i18n.js";

const template = () => document.getElementById("question-form").content.cloneNode(true).firstElementChild;
let number = 0; // tells the fields of several forms apart

/** A form with these questions {id, question, header, options, multiSelect, allowFreeText}. */
export function drawForm({ questions, context }) {
  const form = template();
  number += 1;
  form.querySelector(".context").textContent = context ?? "";
  for (const [at, question] of (Array.isArray(questions) ? questions : []).entries())
    form.querySelector(".questions").append(drawQuestion(Object(question), `form${number}-${at}`));
  form.addEventListener("input", () => clear(form));
  return form;
}

function drawQuestion({ question, header, options, multiSelect, allowFreeText }, name) {
  const field = element("fieldset", "question-field");
  const legend = element("legend");
  legend.textContent = question;
  field.dataset.header = header || question;
  field.append(legend);
  const choices = Array.isArray(options) ? options.map(Object) : [];
  for (const option of choices) field.append(drawOption(option, name, multiSelect ? "checkbox" : "radio"));
  if (choices.length === 0 || allowFreeText !== false) field.append(drawText(choices.length > 0));
  return field;
}

function drawOption({ label, description }, name, type) {
  const [line, input, text] = [element("label"), element("input"), element("span")];
  Object.assign(input, { type, name, value: label });
  text.textContent = label;
  line.append(input, text);
  line.dir = "auto";
  if (description) line.append(Object.assign(element("small"), { textContent: description }));
  return line;
}

function drawText(isBesideOptions) {
  const input = element("input");
  Object.assign(input, { type: "text", maxLength: 500, dir: "auto", autocomplete: "off" });
  input.setAttribute("aria-label", isBesideOptions ? strings["own-answer"] : strings.answer);
  input.placeholder = isBesideOptions ? strings["own-answer"] : "";
  return input;
}

/** Let the form be answered no more. What was chosen stands in the user's message. */
export function lock(form) {
  form.reset();
  form.querySelector("fieldset").disabled = true;
}

/** Let it be answered after all. */
export function unlock(form) {
  form.querySelector("fieldset").disabled = false;
}

/** Call `send(answer)` when a form in `root` is filled in; it returns whether the answer is on its way. */
export function onForm(root, send) {
  root.addEventListener("submit", (event) => {
    if (!event.target.matches("form.asked")) return;
    event.preventDefault();
    const fields = [...event.target.querySelectorAll(".question-field")];
    const open = fields.find((field) => answersOf(field).length === 0);
    if (open) return complain(open);
    send(fields.map((field) => `${field.dataset.header}: ${answersOf(field).join(", ")}.`).join(" "));
  });
}

/** The chosen labels, and the words of the user in quotation marks. */
function answersOf(field) {
  const chosen = [...field.querySelectorAll("input:checked")].map(({ value }) => value);
  const own = field.querySelector("input[type=text]")?.value.trim();
  return own ? [...chosen, `"${own}"`] : chosen;
}

function complain(field) {
  const input = field.querySelector("input");
  input.setCustomValidity(strings["no-answer"]);
  input.reportValidity();
}

function clear(form) {
  for (const input of form.querySelectorAll("input")) input.setCustomValidity("");
}
