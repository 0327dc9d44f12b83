// The text field for the question.

export const composer = document.getElementById("question");

export function setText(text) {
  composer.value = text;
  fit(composer);
}

/** Put a question that is to be sent again before the text in the field. */
export function prependText(question) {
  setText([question, composer.value].filter(Boolean).join("\n\n"));
  composer.focus();
}

/** Make a text area as high as its text. */
export function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

/** Whether this is Enter to send, and not for a new line or to confirm a word of an input method. */
export function isEnter(event) {
  return event.key === "Enter" && !event.shiftKey && !isComposing(event);
}

export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

export function onEnter(send) {
  composer.addEventListener("input", () => fit(composer));
  composer.addEventListener("keydown", (event) => {
    if (!isEnter(event)) return;
    event.preventDefault();
    send();
  });
}
