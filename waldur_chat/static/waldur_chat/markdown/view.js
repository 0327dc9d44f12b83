// Markdown into DOM nodes as it arrives. What does not change stays as it is: blocks that are complete, and within the
// last one all items of a list and all rows of a table but the last.

import { parse, splitRow } from "./blocks.js";
import { appendInline, element } from "./inline.js";

const FROM_THE_RIGHT = /^[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const MAX_DEPTH = 8; // of quotes and lists within each other; deeper ones are shown as they were written

// Each draws a part {kind, source, ...} as {node}. One that can follow its part without a new node has
// `change(part, context)` too, which returns false if it cannot for once.
const DRAWERS = {
  code: drawCode,
  formula: drawFormula,
  heading: drawHeading,
  item: (part, context) => drawInside(element("li"), part, context),
  list: drawList,
  paragraph: drawParagraph,
  quote: (part, context) => drawInside(element("blockquote"), part, context),
  row: (part) => ({ node: drawRow("td", part.source, part.sides) }),
  rule: () => ({ node: element("hr") }),
  table: drawTable,
};

/** The growing text of one answer inside `root`. `codeButton` is cloned into each code block that is complete. */
export class MarkdownView {
  #root;
  #codeButton;
  #tail = ""; // from the beginning of the last block on
  #views = []; // what shows #tail

  constructor(root, codeButton = null) {
    this.#root = root;
    this.#codeButton = codeButton;
  }

  write(text) {
    this.#tail += text;
  }

  /** Show all that was written. An unfinished line never completes the block before it: its kind may still change. */
  draw({ done = false } = {}) {
    const lines = this.#tail.split(/\r?\n/);
    const unfinished = done ? [] : [lines.pop()];
    const complete = parse(lines, !done);
    const last = done ? null : complete.pop();
    const rest = [...lines.slice(last?.start ?? lines.length), ...unfinished];
    const context = { depth: 0, isOpen: !done, codeButton: this.#codeButton };
    update(this.#root, this.#views, [...complete, ...parse(rest, !done)], context);
    this.#views.splice(0, complete.length);
    this.#tail = rest.join("\n");
  }
}

/**
 * Let `views`, the last children of `parent`, show these parts. `isOpen` in the context says that the text may go on:
 * in the last part then, which is drawn as long as it may still change.
 */
function update(parent, views, parts, context) {
  for (const [at, part] of parts.entries()) {
    const isOpen = context.isOpen && at === parts.length - 1;
    const view = views[at];
    const isAlike = view?.part.kind === part.kind && view.part.source === part.source;
    if (isAlike && (view.isOpen === isOpen || !view.change)) continue;
    const inside = { ...context, isOpen };
    const isChanged = view?.part.kind === part.kind && view.change?.(part, inside);
    const { node, change } = isChanged ? view : DRAWERS[part.kind](part, inside);
    if (!view) parent.append(node);
    else if (!isChanged) view.node.replaceWith(node);
    views[at] = { node, change, part, isOpen };
  }
  for (const { node } of views.splice(parts.length)) node.remove();
}

/** A node with blocks of its own. */
function drawInside(node, part, context) {
  if (context.depth === MAX_DEPTH) {
    node.append(part.lines.join("\n"));
    return { node };
  }
  const views = [];
  const change = ({ kind, lines, source }, now) => {
    if (kind === "quote") setDirection(node, source);
    update(node, views, parse(lines, now.isOpen), { ...now, depth: now.depth + 1 });
    return true;
  };
  change(part, context);
  return { node, change };
}

function drawList(part, context) {
  const { isOrdered, first } = part;
  const list = element(isOrdered ? "ol" : "ul");
  if (isOrdered && first !== 1) list.start = first;
  const views = [];
  const change = (next, now) => {
    if (next.isOrdered !== isOrdered || (isOrdered && next.first !== first)) return false;
    setDirection(list, next.source);
    update(list, views, next.items, now);
    return true;
  };
  change(part, context);
  return { node: list, change };
}

function drawTable(part, context) {
  const table = element("table");
  const [head, body] = [element("thead"), element("tbody")];
  head.append(drawRow("th", part.head, part.sides));
  table.append(head, body);
  const frame = element("div", "table");
  frame.tabIndex = 0; // a wide table can be scrolled by keyboard
  frame.append(table);
  const views = [];
  const change = (next, now) => {
    if (next.head !== part.head || next.delimiters !== part.delimiters) return false;
    setDirection(frame, next.source);
    update(body, views, next.rows, now);
    return true;
  };
  change(part, context);
  return { node: frame, change };
}

/** Short rows stay short: filling them up would let a few bytes make a million cells. */
function drawRow(tag, line, sides) {
  const row = element("tr");
  for (const [column, text] of splitRow(line).slice(0, sides.length).entries()) {
    const cell = element(tag, sides[column]);
    if (tag === "th") cell.scope = "col";
    appendInline(cell, text);
    row.append(cell);
  }
  return row;
}

/** With the button to copy it once it is complete. */
function drawCode(part, context) {
  const { language } = part;
  const figure = element("figure", "code");
  const caption = element("figcaption");
  const name = element("span");
  name.textContent = language;
  caption.append(name);
  const pre = element("pre");
  pre.tabIndex = 0; // wide code can be scrolled by keyboard
  const code = element("code");
  const text = document.createTextNode("");
  code.append(text);
  pre.append(code);
  figure.append(caption, pre);
  const change = (next, { isOpen, codeButton }) => {
    const button = (next.isClosed || !isOpen) && codeButton;
    const hasButton = caption.lastChild !== name;
    if (next.language !== language || (hasButton && !button)) return false;
    if (next.text.startsWith(text.data)) text.appendData(next.text.slice(text.length));
    else text.data = next.text;
    if (button && !hasButton) caption.append(button.cloneNode(true));
    return true;
  };
  change(part, context);
  return { node: figure, change };
}

function drawHeading({ level, text }) {
  const heading = element(`h${Math.min(level + 2, 6)}`); // h1 and h2 are the page's own
  appendInline(heading, text);
  return { node: heading };
}

function drawParagraph({ text }) {
  const paragraph = element("p");
  appendInline(paragraph, text);
  return { node: paragraph };
}

/** A formula whose end has not come yet. */
function drawFormula({ text }) {
  const [paragraph, math] = [element("p"), element("span", "math")];
  math.textContent = text;
  paragraph.append(math);
  return { node: paragraph };
}

/**
 * Let the side of markers, borders and columns follow the first letter. Chromium 156 would look for it in the whole node
 * with dir="auto", each time that something is appended.
 */
function setDirection(node, text) {
  const letter = /\p{L}/u.exec(text)?.[0];
  const direction = letter && FROM_THE_RIGHT.test(letter) ? "rtl" : "ltr";
  if (letter && node.dir !== direction) node.dir = direction;
}
