// What can go wrong between page and server, and how it is told.

import { fill, language, words } from "../ui/i18n.js";

// Each with its seconds, and from how many seconds on it is the one to count in.
const UNITS = [["day", 86_400, 129_600], ["hour", 3_600, 5_400], ["minute", 60, 90], ["second", 1, 0]];

/** Why there is no (whole) answer. `kind` names our own sentence; `detail` is the server's, which comes first. */
export class Problem extends Error {
  constructor(kind, { detail, status, seconds, retryable, thread, ...kept } = {}) {
    super(kind);
    Object.assign(this, { kind, status, seconds, retryable: retryable !== false, thread });
    this.detail = typeof detail === "string" ? detail : "";
    this.question = kept.user_message_uuid; // what the server has stored of the turn in spite of all
    this.answer = kept.assistant_message_uuid;
  }
}

/** One or two sentences for the reader. */
export function explain({ kind, detail, status, seconds }) {
  const sentence = detail || fill(words[status] ?? words[kind], { status });
  if (!seconds || sentence.includes(seconds)) return sentence;
  const [unit, size] = UNITS.find(([, , from]) => seconds > from);
  const when = new Intl.RelativeTimeFormat(language).format(Math.ceil(seconds / size), unit);
  return `${sentence} ${fill(words.wait, { when })}`;
}
