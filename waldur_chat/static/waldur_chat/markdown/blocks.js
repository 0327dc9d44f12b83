// Markdown as blocks: lines become values {kind, start, end, source, ...}, which view.js draws. `source` is the text of
// a block's lines: blocks of one kind with equal sources are drawn alike.

// The fences of CommonMark: wire/fences.py has the same rules.
const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})(.*)$/s;
const FENCE_END = /^ {0,3}(`{3,}|~{3,})[ \t]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/s;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])(?:[ \t]+(?=\S)|[ \t]*$)/;
const DELIMITERS = /^[ \t]*\|?[-:| \t]+$/;
const FORMULA = /^ {0,3}(\\\[|\$\$|\\begin(\{[a-zA-Z]{1,20}\*?\}))/;
const FORMULA_LINES = 200; // at most; bounds how far its first line looks ahead

const READERS = [readFence, readFormula, readHeading, readRule, readQuote, readList, readTable, readParagraph];

/** The blocks of these lines: `start` is their first line, `end` the one after the last. `isOpen`: more may follow. */
export function parse(lines, isOpen) {
  const blocks = [];
  let start = 0;
  while (start < lines.length) {
    if (isBlank(lines[start])) {
      start += 1;
      continue;
    }
    let block = null;
    for (const read of READERS) if ((block = read(lines, start, isOpen))) break;
    blocks.push({ ...block, start, source: sourceOf(lines.slice(start, block.end)) });
    start = block.end;
  }
  return blocks;
}

function sourceOf(lines) {
  return lines.join("\n");
}

/** A fence that nothing closes contains all lines up to the last: those of the message, or of the item or quote it is in. */
function readFence(lines, start) {
  const [, indent, marks, info] = FENCE.exec(lines[start]) ?? [];
  if (!marks) return null;
  const isEnd = (line) => FENCE_END.exec(line)?.[1].startsWith(marks);
  let end = start + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  const isClosed = end < lines.length;
  const indented = new RegExp(`^ {0,${indent.length}}`);
  const text = sourceOf(lines.slice(start + 1, end).map((line) => line.replace(indented, "")));
  return { kind: "code", end: isClosed ? end + 1 : end, language: info.trim().split(/\s/)[0], text, isClosed };
}

/** A formula on lines of its own, which may look like lists or tables. Until a blank line, its end may still come. */
function readFormula(lines, start, isOpen) {
  const [whole, opening, environment] = FORMULA.exec(lines[start]) ?? [];
  if (!opening) return null;
  const closing = environment ? `\\end${environment}` : opening.replace("[", "]");
  const limit = Math.min(lines.length, start + FORMULA_LINES);
  for (let at = start, from = whole.length; at < limit && !isBlank(lines[at]); at += 1, from = 0) {
    const found = lines[at].indexOf(closing, from);
    const isEscapedLink = closing === "\\]" && lines[at][found + closing.length] === "("; // \[text\](url)
    if (found >= 0) return isEscapedLink ? null : readText("paragraph", lines, start, at + 1);
    if (at + 1 === lines.length && isOpen) return readText("formula", lines, start, lines.length);
  }
  return null;
}

function readHeading(lines, start) {
  const [, marks, text = ""] = HEADING.exec(lines[start]) ?? [];
  if (!marks) return null;
  return { kind: "heading", end: start + 1, level: marks.length, text: text.trim().replace(/(^|[ \t])#+$/, "").trim() };
}

function readRule(lines, start) {
  return RULE.test(lines[start].trimEnd()) ? { kind: "rule", end: start + 1 } : null;
}

function readQuote(lines, start) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  if (end === start) return null;
  return { kind: "quote", end, lines: lines.slice(start, end).map((line) => line.replace(QUOTE, "")) };
}

function readList(lines, start) {
  const first = ITEM.exec(lines[start])?.[2];
  if (!first) return null;
  const isOrdered = (marker) => marker.length > 1;
  const items = [];
  let end = start;
  for (let next = start; next < lines.length; next = skipBlank(lines, end)) {
    const marker = ITEM.exec(lines[next])?.[2];
    if (!marker || isOrdered(marker) !== isOrdered(first) || (next > start && readRule(lines, next))) break;
    const item = readItem(lines, next);
    items.push({ kind: "item", source: sourceOf(item.lines), lines: item.lines });
    end = item.end;
  }
  return { kind: "list", end, items, isOrdered: isOrdered(first), first: parseInt(first) };
}

/** An item is its own line and all that is indented under it; models often indent by less than the standard asks. */
function readItem(lines, start) {
  const [marker, indent] = ITEM.exec(lines[start]);
  const inner = [lines[start].slice(marker.length)];
  const contentWidth = widthOf(indent) + marker.length - indent.length;
  let end = start + 1;
  for (let next = end; next < lines.length; next += 1) {
    const line = lines[next];
    if (isBlank(line)) continue;
    const isUnder = widthOf(line) >= widthOf(indent) + 2;
    const goesOn = next === end && !startsBlock(lines, next) && !ITEM.test(line);
    if (!isUnder && !goesOn) break;
    for (; end < next; end += 1) inner.push("");
    inner.push(dedent(line, contentWidth));
    end = next + 1;
  }
  return { lines: inner, end };
}

function readTable(lines, start) {
  if (!startsTable(lines, start)) return null;
  let end = start + 2;
  while (end < lines.length && !isBlank(lines[end]) && !startsBlock(lines, end)) end += 1;
  const sides = splitRow(lines[start + 1]).map(sideOf);
  const rows = lines.slice(start + 2, end).map((source) => ({ kind: "row", source, sides }));
  return { kind: "table", end, sides, head: lines[start], delimiters: lines[start + 1], rows };
}

function startsTable(lines, start) {
  const delimiters = lines[start + 1]?.trimEnd() ?? "";
  if (!lines[start].includes("|") || !delimiters.includes("-") || !DELIMITERS.test(delimiters)) return false;
  const cells = splitRow(delimiters);
  return cells.every((cell) => /^:?-+:?$/.test(cell)) && cells.length === splitRow(lines[start]).length;
}

/** The texts of the cells of a line. */
export function splitRow(line) {
  const cells = line.trim().split(/(?<!\\)\|/);
  if (cells.length > 1 && cells[0] === "") cells.shift();
  if (cells.length > 1 && cells.at(-1) === "") cells.pop();
  return cells.map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function sideOf(delimiter) {
  if (!delimiter.endsWith(":")) return "";
  return delimiter.startsWith(":") ? "middle" : "end";
}

function readParagraph(lines, start) {
  let end = start + 1;
  while (end < lines.length && !isBlank(lines[end]) && !startsBlock(lines, end)) end += 1;
  return readText("paragraph", lines, start, end);
}

function readText(kind, lines, start, end) {
  return { kind, end, text: sourceOf(lines.slice(start, end).map((line) => line.trim())) };
}

/** Whether a line ends the paragraph before it. A number other than 1 does not: it may be a year at a line's start. */
function startsBlock(lines, at) {
  const line = lines[at];
  const marker = ITEM.exec(line);
  if (marker && marker[0].length < line.length && (marker[2].length === 1 || parseInt(marker[2]) === 1)) return true;
  if (HEADING.test(line) || QUOTE.test(line) || readRule(lines, at) || startsTable(lines, at)) return true;
  return FORMULA.test(line) || FENCE.test(line);
}

function isBlank(line) {
  return line.trim() === "";
}

function skipBlank(lines, at) {
  let next = at;
  while (next < lines.length && isBlank(lines[next])) next += 1;
  return next;
}

function widthOf(line) {
  let width = 0;
  for (const character of line) {
    if (character === "\t") width += 4;
    else if (character === " ") width += 1;
    else break;
  }
  return width;
}

/** `line` without up to `width` columns of its indentation. */
function dedent(line, width) {
  let at = 0;
  for (let left = width; left > 0 && " \t".includes(line[at] ?? "x"); at += 1) left -= line[at] === "\t" ? 4 : 1;
  return line.slice(at);
}
