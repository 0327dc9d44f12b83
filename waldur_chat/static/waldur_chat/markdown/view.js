// Markdown into DOM nodes, block by block, as it arrives: blocks that are complete stay, only the last is drawn again.

import { appendInline, element } from "./inline.js";

const FENCE = /^[ \t]*(`{3,}|~{3,})(.*)$/s;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/s;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])(?:[ \t]+(?=\S)|[ \t]*$)/;
const DELIMITERS = /^[ \t]*\|?[-:| \t]+$/;
const MAX_DEPTH = 8; // of quotes and lists within each other; deeper ones are shown as they were written

const READERS = [readFence, readHeading, readRule, readQuote, readList, readTable, readParagraph];

/** The growing text of one answer inside `root`. `codeButton` is cloned into each code block that is complete. */
export class MarkdownView {
  #root;
  #codeButton;
  #tail = ""; // from the beginning of the last block on
  #open = []; // the nodes that show #tail

  constructor(root, codeButton = null) {
    this.#root = root;
    this.#codeButton = codeButton;
  }

  write(text) {
    this.#tail += text;
  }

  /** Show all that was written. An unfinished line never completes the block before it: its kind may still change. */
  draw({ done = false } = {}) {
    for (const node of this.#open) node.remove();
    const lines = this.#tail.split(/\r?\n/);
    const unfinished = done ? [] : [lines.pop()];
    const blocks = parse(lines);
    const last = done ? null : blocks.pop();
    const context = { depth: 0, done, codeButton: this.#codeButton };
    for (const block of blocks) this.#root.append(block.draw(context));
    const rest = [...lines.slice(last?.start ?? lines.length), ...unfinished];
    this.#tail = rest.join("\n");
    this.#open = parse(rest).map((block) => block.draw(context));
    for (const node of this.#open) this.#root.append(node);
  }
}

/** The blocks {start, end, draw} of these lines: where each begins, the line after it, and how it becomes a node. */
function parse(lines) {
  const blocks = [];
  let start = 0;
  while (start < lines.length) {
    if (isBlank(lines[start])) {
      start += 1;
      continue;
    }
    let block = null;
    for (const read of READERS) if ((block = read(lines, start))) break;
    blocks.push({ start, ...block });
    start = block.end;
  }
  return blocks;
}

function drawLines(parent, lines, context) {
  const inside = { ...context, depth: context.depth + 1 };
  if (inside.depth > MAX_DEPTH) parent.append(lines.join("\n"));
  else for (const block of parse(lines)) parent.append(block.draw(inside));
  return parent;
}

function readFence(lines, start) {
  const [, marks, info] = FENCE.exec(lines[start]) ?? [];
  if (!marks || (marks[0] === "`" && info.includes("`"))) return null;
  const indent = widthOf(lines[start]);
  const isEnd = (line) => {
    const end = line.trim();
    return end.length >= marks.length && end === marks[0].repeat(end.length);
  };
  let end = start + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  const closed = end < lines.length;
  const draw = ({ done, codeButton }) => {
    const text = lines.slice(start + 1, end).map((line) => dedent(line, indent)).join("\n");
    return drawCode(info.trim().split(/\s/)[0], text, closed || done ? codeButton : null);
  };
  return { end: closed ? end + 1 : end, draw };
}

function drawCode(language, text, button) {
  const figure = element("figure", "code");
  const caption = element("figcaption");
  const name = element("span");
  name.textContent = language;
  caption.append(name);
  if (button) caption.append(button.cloneNode(true));
  const pre = element("pre");
  pre.tabIndex = 0; // wide code can be scrolled by keyboard
  const code = element("code");
  code.textContent = text;
  pre.append(code);
  figure.append(caption, pre);
  return figure;
}

function readHeading(lines, start) {
  const [, marks, text = ""] = HEADING.exec(lines[start]) ?? [];
  if (!marks) return null;
  const draw = () => {
    const heading = element(`h${Math.min(marks.length + 2, 6)}`); // h1 and h2 are the page's own
    appendInline(heading, text.trim().replace(/(^|[ \t])#+$/, "").trim());
    return heading;
  };
  return { end: start + 1, draw };
}

function readRule(lines, start) {
  return RULE.test(lines[start].trimEnd()) ? { end: start + 1, draw: () => element("hr") } : null;
}

function readQuote(lines, start) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  if (end === start) return null;
  const inner = () => lines.slice(start, end).map((line) => line.replace(QUOTE, ""));
  return { end, draw: (context) => drawLines(element("blockquote"), inner(), context) };
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
    items.push(item.inner);
    end = item.end;
  }
  const draw = (context) => {
    const list = element(isOrdered(first) ? "ol" : "ul");
    if (isOrdered(first) && parseInt(first) !== 1) list.start = parseInt(first);
    for (const inner of items) list.append(drawLines(element("li"), inner, context));
    return list;
  };
  return { end, draw };
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
  return { inner, end };
}

function readTable(lines, start) {
  if (!startsTable(lines, start)) return null;
  let end = start + 2;
  while (end < lines.length && !isBlank(lines[end]) && !startsBlock(lines, end)) end += 1;
  const draw = () => {
    const sides = splitRow(lines[start + 1]).map(sideOf);
    const table = element("table");
    const [head, body] = [element("thead"), element("tbody")];
    head.append(drawRow("th", splitRow(lines[start]), sides));
    for (const line of lines.slice(start + 2, end)) body.append(drawRow("td", splitRow(line), sides));
    table.append(head, body);
    const frame = element("div", "table");
    frame.tabIndex = 0; // a wide table can be scrolled by keyboard
    frame.append(table);
    return frame;
  };
  return { end, draw };
}

/** Short rows stay short: filling them up would let a few bytes make a million cells. */
function drawRow(tag, cells, sides) {
  const row = element("tr");
  for (const [column, text] of cells.slice(0, sides.length).entries()) {
    const cell = element(tag, sides[column]);
    if (tag === "th") cell.scope = "col";
    appendInline(cell, text);
    row.append(cell);
  }
  return row;
}

function startsTable(lines, start) {
  const delimiters = lines[start + 1]?.trimEnd() ?? "";
  if (!lines[start].includes("|") || !delimiters.includes("-") || !DELIMITERS.test(delimiters)) return false;
  const cells = splitRow(delimiters);
  return cells.every((cell) => /^:?-+:?$/.test(cell)) && cells.length === splitRow(lines[start]).length;
}

function splitRow(line) {
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
  const draw = () => {
    const paragraph = element("p");
    appendInline(paragraph, lines.slice(start, end).map((line) => line.trim()).join("\n"));
    return paragraph;
  };
  return { end, draw };
}

/** Whether a line ends the paragraph before it. A number other than 1 does not: it may be a year at a line's start. */
function startsBlock(lines, at) {
  const line = lines[at];
  const marker = ITEM.exec(line);
  if (marker && marker[0].length < line.length && (marker[2].length === 1 || parseInt(marker[2]) === 1)) return true;
  if (HEADING.test(line) || QUOTE.test(line) || readRule(lines, at) || startsTable(lines, at)) return true;
  const [, marks, info] = FENCE.exec(line) ?? [];
  return Boolean(marks) && !(marks[0] === "`" && info.includes("`"));
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
