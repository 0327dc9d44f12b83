// What a page shows of results, by the keys of Waldur's blocks. Blocks of other keys are not shown.

import { drawFields } from "./fields.js";
import { drawForm } from "./question_form.js";
import { element } from "../markdown/inline.js";
import { linkTo } from "../markdown/links.js";
import { MarkdownView } from "../markdown/view.js";
import { strings } from "../ui/i18n.js";

const OWN = ["id", "key", "status"]; // fields of the block itself
const DRAWERS = {
  ask_user_form: drawForm,
  homeport_nav: drawLinks,
  markdown: ({ content }) => drawText(content),
  resource_list: drawResources,
  vm_order: drawOrder,
};

/** A node for this block; null for one that is not known. */
export function drawBlock(block) {
  return Object.hasOwn(DRAWERS, block.key) ? DRAWERS[block.key](block) : null;
}

function drawText(content) {
  const node = element("div", "markdown");
  const view = new MarkdownView(node);
  view.write(String(content ?? ""));
  view.draw({ done: true });
  return node;
}

function drawLinks({ links, content }) {
  const nav = element("nav", "links");
  nav.setAttribute("aria-label", strings.links);
  if (content) nav.append(drawText(content));
  nav.append(drawEntries(links));
  return nav;
}

/** A list of {label, url?, variant?, subtitle?, description_excerpt?}. What must not be a link is text. */
function drawEntries(entries) {
  const list = element("ul");
  for (const entry of Array.isArray(entries) ? entries.map(Object) : []) {
    const item = element("li", entry.variant === "primary" ? "primary" : "");
    const name = linkOf(entry.url) ?? element("span");
    name.textContent = entry.label ?? entry.name ?? "";
    item.append(name, ...[entry.subtitle, entry.description_excerpt].filter(Boolean).map(small));
    item.dir = "auto";
    list.append(item);
  }
  return list;
}

/** A link to a page: http(s) or relative, not to a mail. */
function linkOf(url) {
  const link = typeof url === "string" ? linkTo(url) : null;
  return link && /^https?:$/.test(link.protocol) ? link : null;
}

function small(text) {
  const node = element("small");
  node.textContent = text;
  return node;
}

/** Waldur's own page asks for the resources with these fields as filters; `rows` are those that a tool has found. */
function drawResources({ rows, ...block }) {
  const section = drawSection(strings.resources, fieldsOf(block));
  if (Array.isArray(rows)) section.append(drawEntries(rows));
  return section;
}

function drawOrder(block) {
  return drawSection(strings.order, { ...fieldsOf(block), ...(block.status === "complete" ? {} : { status: block.status }) });
}

function drawSection(title, fields) {
  const section = element("section", "card");
  section.setAttribute("aria-label", title);
  const heading = element("h3");
  heading.textContent = title;
  section.append(heading, drawFields(fields));
  return section;
}

function fieldsOf(block) {
  return Object.fromEntries(
    Object.entries(block).filter(([name, value]) => !OWN.includes(name) && value !== "" && value !== null),
  );
}
