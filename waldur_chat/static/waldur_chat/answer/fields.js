// Names and values, as arguments of calls have them.

import { element } from "../markdown/inline.js";

/** A list of the fields of an object, with a note beside those that have one: {name: text}. */
export function drawFields(fields, notes = {}) {
  const list = element("dl");
  for (const [name, value] of Object.entries(Object(fields))) {
    const [term, description] = [element("dt"), element("dd")];
    term.textContent = name.replaceAll("_", " ");
    description.textContent = visible(typeof value === "string" ? value : JSON.stringify(value));
    description.dir = "auto";
    if (Object.hasOwn(notes, name)) description.append(drawNote(notes[name]));
    list.append(term, description);
  }
  return list;
}

// What nobody sees, or what turns the order of the characters around it. Joiners are a part of emoji and of some scripts.
const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with hidden characters as their numbers: nobody should approve what they cannot see. */
function visible(text) {
  return text.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

function drawNote(text) {
  const note = element("small");
  note.textContent = ` ${text}`;
  return note;
}
