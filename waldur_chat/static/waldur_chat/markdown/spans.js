// Where code, brackets and LaTeX formulas end within a text: found in one pass, so that no later search need go to the
// end in vain. Nothing renders formulas: they are found so that markdown takes no character of them.

const MARK = /\\(?:begin|end)\{[a-zA-Z]{1,20}\*?\}|\\[\s\S]|`+|[[\]]|\$\$?/g;
const CLOSING = { "\\(": "\\)", "\\[": "\\]", $$: "$$", $: "$" };
const MAX_DOLLARS = 300; // characters of a formula between single dollars

/**
 * Maps from the beginning of a code span to its closing backticks, from [ to its ], and from the beginning of a formula
 * to the position after it; and the set of the brackets of \[text\](url), a link that was escaped.
 */
export function findSpans(text) {
  const marks = [...text.matchAll(MARK)];
  const nextOf = finderOf(text, marks);
  const spans = { codeEnd: new Map(), bracketEnd: new Map(), mathEnd: new Map(), escaped: new Set() };
  const open = [];
  let position = 0;
  for (const { 0: mark, index } of marks) {
    if (index < position) continue;
    if (mark === "[") open.push(index);
    else if (mark === "]") open.length && spans.bracketEnd.set(open.pop(), index);
    else if (mark[0] === "`") position = takeCode(mark, index, nextOf, spans);
    else position = takeMath(text, mark, index, nextOf, spans);
  }
  return spans;
}

/** A function that finds the next mark of a kind after a position; positions must not decrease from call to call. */
function finderOf(text, marks) {
  const places = new Map(); // mark -> where such marks are, the last one first
  for (const { 0: mark, index } of marks.reverse()) {
    if (mark === "$" && !endsDollars(text, index)) continue;
    if (!places.has(mark)) places.set(mark, []);
    places.get(mark).push(index);
  }
  marks.reverse();
  return (mark, position) => {
    const found = places.get(mark) ?? [];
    while (found.length && found.at(-1) < position) found.pop();
    return found.at(-1);
  };
}

function takeCode(ticks, start, nextOf, { codeEnd }) {
  const end = nextOf(ticks, start + ticks.length);
  if (end === undefined) return start;
  codeEnd.set(start, end);
  return end + ticks.length;
}

/** Note the formula that begins with this mark, if one does; returns from where on to look for the next. */
function takeMath(text, mark, start, nextOf, { mathEnd, escaped }) {
  const closing = mark.startsWith("\\begin{") ? mark.replace("begin", "end") : CLOSING[mark];
  if (!closing || (mark === "$" && !beginsDollars(text, start))) return start;
  const end = nextOf(closing, start + mark.length);
  if (end === undefined) return start;
  const after = end + closing.length;
  if (mark === "$" && (after - start > MAX_DOLLARS || !/^[^\n]*[\\^_{}][^\n]*$/.test(text.slice(start, after)))) return start;
  if (mark === "\\[" && text[after] === "(") {
    escaped.add(start).add(end);
    return start;
  }
  mathEnd.set(start, after);
  return after;
}

// A dollar may be money: it begins a formula only before a character, and ends one only after a character.

function beginsDollars(text, at) {
  return !/[\p{L}\p{N}]/u.test(text[at - 1] ?? " ") && !/\s/.test(text[at + 1] ?? " ");
}

function endsDollars(text, at) {
  return !/\s/.test(text[at - 1] ?? " ") && !/[\p{L}\p{N}]/u.test(text[at + 1] ?? " ");
}
