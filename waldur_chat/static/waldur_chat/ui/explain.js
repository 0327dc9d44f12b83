// Sentences that explain a Problem to the user.

import { format, language, strings } from "./i18n.js";

// Each unit with its seconds, and the number of seconds from which on it is used.
const UNITS = [["day", 86_400, 129_600], ["hour", 3_600, 5_400], ["minute", 60, 90], ["second", 1, 0]];

/** One or two sentences: what happened, and when to try again. */
export function explain({ kind, detail, status, seconds }) {
  const sentence = detail || format(strings[status] ?? strings[kind], { status });
  if (!seconds || sentence.includes(seconds)) return sentence;
  const [unit, size] = UNITS.find(([, , from]) => seconds > from);
  const when = new Intl.RelativeTimeFormat(language).format(Math.ceil(seconds / size), unit);
  return `${sentence} ${format(strings.wait, { when })}`;
}
