// Translated strings of the template, and the two elements that show them.

const $ = (id) => document.getElementById(id);

export const language = document.documentElement.lang;
export const strings = Object.fromEntries([...$("words").content.children].map((p) => [p.dataset.word, p.textContent]));

/** The errors of turns by code: {sentence, isRetryable}, as the server tells them. */
export const errors = Object.fromEntries(
  [...($("errors")?.content.children ?? [])].map((p) => [
    p.dataset.code,
    { sentence: p.textContent, isRetryable: p.dataset.retryable === "true" },
  ]),
);

/** `sentence` with {name} replaced by the value of that name. */
export function format(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Show why a question cannot be sent; the empty text hides the notice. */
export function showNotice(sentence) {
  $("notice").textContent = sentence;
}

/** Announce to screen readers; repeated text is announced again. */
export function announce(sentence) {
  $("status").textContent = "";
  setTimeout(() => ($("status").textContent = sentence), 50);
}
