// Markdown within a line: emphasis, code, links. Nodes are made by createElement and text only, never from markup,
// nesting is a few levels deep at most, and no character is looked at more than a few times.

import { linkTo } from "./links.js";
import { findSpans } from "./spans.js";

const TAGS = { "*": "em", _: "em", "**": "strong", __: "strong", "~~": "del" };
const TOKEN =
  /\\(?:begin(?=\{)|[!-/:-@[-`{-~])|\$\$?|`+|!?\[|\*+|_+|~~|<br ?\/?>|<(https?:\/\/[^\s<>]+)>|\bhttps?:\/\/[^\s<>"`]+|\n/gi;
const ESCAPED = "*_`~#+-.<>$"; // what has a meaning here; before all else a backslash is text, since LaTeX is full of them
const TARGET =
  /\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*))(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)/y;
const AFTER_URL = ".,;:!?'*_~]}。，、；：！？」】"; // ends the sentence around a bare URL, not the URL

export function element(tag, className = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  return node;
}

/** Append `text` to `parent`; with `links` false (inside a link) without further links. */
export function appendInline(parent, text, links = true) {
  const { codeEnd, bracketEnd, mathEnd, escaped } = findSpans(text);
  const stack = [{ marker: "", node: parent }]; // one entry per open emphasis, each marker at most once
  const add = (node) => node !== "" && stack.at(-1).node.append(node);
  const token = new RegExp(TOKEN);
  let position = 0;
  for (let match; (match = token.exec(text)); token.lastIndex = position) {
    add(text.slice(position, match.index));
    const { 0: found, 1: bracketed, index } = match;
    position = index + found.length;
    if (mathEnd.has(index)) position = addMath(add, text, index, mathEnd.get(index));
    else if (found[0] === "\\") add(isEscape(text, index, escaped) ? found[1] : found);
    else if (found[0] === "`") position = addCode(add, text, index, found, codeEnd);
    else if (found.endsWith("[")) position = addLink(add, text, index, found, bracketEnd, links);
    else if (found === "\n" || /^<br/i.test(found)) add(element("br"));
    else if (bracketed) add(anchor(bracketed, bracketed, links) ?? found);
    else if (/^h/i.test(found)) position = index + addUrl(add, found, links);
    else if (found[0] === "$") add(found);
    else addEmphasis(stack, found, text[index - 1], text[position]);
  }
  add(text.slice(position));
  while (stack.length > 1) unwrap(stack);
}

function isEscape(text, index, escaped) {
  const mark = text[index + 1];
  return ESCAPED.includes(mark) || escaped.has(index) || (mark === "!" && text[index + 2] === "[");
}

function addMath(add, text, start, end) {
  const math = element("span", "math");
  math.textContent = text.slice(start, end);
  add(math);
  return end;
}

function addCode(add, text, start, ticks, codeEnd) {
  const end = codeEnd.get(start);
  if (end === undefined) {
    add(ticks);
    return start + ticks.length;
  }
  const code = element("code");
  const inner = text.slice(start + ticks.length, end).replaceAll("\n", " ");
  code.textContent = /^ .*\S.* $/.test(inner) ? inner.slice(1, -1) : inner;
  add(code);
  return end + ticks.length;
}

/** [text](url), and ![text](url) as a link too: an image would be fetched from wherever the model says. */
function addLink(add, text, start, found, bracketEnd, links) {
  const open = start + found.length - 1;
  const close = bracketEnd.get(open) ?? NaN;
  TARGET.lastIndex = close + 1;
  const target = text[close + 1] === "(" ? TARGET.exec(text) : null;
  const url = target?.[1] ?? target?.[2] ?? "";
  const label = text.slice(open + 1, close).trim();
  const link = target && anchor(url, label || url, links);
  if (!link || (!links && found === "[")) {
    add(found); // not a link that may be one: as it was written
    return start + found.length;
  }
  add(link);
  return close + 1 + target[0].length;
}

function addUrl(add, found, links) {
  let length = found.length;
  while (AFTER_URL.includes(found[length - 1]) || (found[length - 1] === ")" && !found.includes("("))) length -= 1;
  const url = found.slice(0, length);
  add(anchor(url, url, links) ?? url);
  return length;
}

function anchor(url, label, links) {
  const link = linkTo(url);
  if (!link) return null;
  if (!links) return document.createTextNode(label);
  if (label === url) link.textContent = url;
  else appendInline(link, label, false);
  return link;
}

/** A run of *, _ or ~~ ends what it can, innermost first; what is left of it begins something, or is text. */
function addEmphasis(stack, run, before = " ", after = " ") {
  const within = (neighbour) => run[0] === "_" && /[\p{L}\p{N}]/u.test(neighbour); // snake_case stays as it is
  const begins = !/\s/.test(after) && !within(before);
  const ends = !/\s/.test(before) && !within(after);
  let rest = run;
  while (ends && rest) {
    const isSame = ({ marker }) => marker === rest;
    const isPart = ({ marker }) => !begins && marker && rest.startsWith(marker); // *** ends ** and *
    const fits = stack.find(isSame) ?? stack.findLast(isPart);
    if (!fits) break;
    while (stack.at(-1) !== fits) unwrap(stack);
    stack.pop();
    stack.at(-1).node.append(fits.node);
    rest = rest.slice(fits.marker.length);
  }
  const markers = rest.length === 3 ? [rest.slice(1), rest[0]] : [rest];
  const isNew = markers.every((marker) => marker in TAGS && !stack.some((entry) => entry.marker === marker));
  if (begins && isNew) for (const marker of markers) stack.push({ marker, node: element(TAGS[marker]) });
  else if (rest) stack.at(-1).node.append(rest);
}

/** An emphasis that never ended is text after all. */
function unwrap(stack) {
  const { marker, node } = stack.pop();
  const parent = stack.at(-1).node;
  parent.append(marker);
  while (node.firstChild) parent.append(node.firstChild);
}
