// What the page says: the template's own sentences, in its language, and the two places that say them.

const $ = (id) => document.getElementById(id);

export const language = document.documentElement.lang;
export const words = Object.fromEntries([...$("words").content.children].map((p) => [p.dataset.word, p.textContent]));

/** `sentence` with {name} replaced by the value of that name. */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Say what keeps a question in the box; the empty text takes it back. */
export function say(sentence) {
  $("notice").textContent = sentence;
}

/** Tell those who listen; the same words twice are told twice. */
export function announce(sentence) {
  $("status").textContent = "";
  setTimeout(() => ($("status").textContent = sentence), 50);
}
