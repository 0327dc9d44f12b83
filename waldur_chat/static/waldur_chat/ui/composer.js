// The box in which a question is written.

export const box = document.getElementById("question");

export function setBox(text) {
  box.value = text;
  fit(box);
}

/** Put a question before what is written there, for it to be sent again. */
export function putBack(question) {
  setBox([question, box.value].filter(Boolean).join("\n\n"));
  box.focus();
}

/** Make a box as high as its text. */
export function fit(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

/** Whether this key is the reader's Enter, rather than that of a word to choose, or of a new line. */
export function isEnter(event) {
  return event.key === "Enter" && !event.shiftKey && !isComposing(event);
}

export function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

export function onEnter(send) {
  box.addEventListener("input", () => fit(box));
  box.addEventListener("keydown", (event) => {
    if (!isEnter(event)) return;
    event.preventDefault();
    send();
  });
}
