// An answer in its parts: text in markdown, and calls of tools where they stand in it.

import { CallView } from "./call.js";
import { element } from "../markdown/inline.js";
import { MarkdownView } from "../markdown/view.js";

export class AnswerParts {
  #root;
  #markdown = null; // that of the last part, unless it is a call
  #calls = new Map();

  /** Show this version of an answer in `root`. More may be written to it. */
  constructor(root, { text, calls = [] }) {
    this.#root = root;
    root.replaceChildren();
    let written = 0;
    for (const call of calls) {
      this.write(text.slice(written, call.at));
      this.showCall(call);
      written = Math.max(written, call.at);
    }
    if (calls.length === 0 || written < text.length) this.#text.write(text.slice(written));
    this.draw({ done: text !== "" });
  }

  write(text) {
    if (text) this.#text.write(text);
  }

  draw(how) {
    this.#markdown?.draw(how);
  }

  /** Show a call after all that was written, or what has become of it. */
  showCall(call) {
    const known = this.#calls.get(call.uuid);
    if (known) return known.show();
    this.#endText();
    const view = new CallView(call);
    this.#calls.set(call.uuid, view);
    this.#root.append(view.element);
  }

  #endText() {
    this.draw({ done: true });
    this.#markdown = null;
    if (this.#root.lastChild?.childNodes.length === 0) this.#root.lastChild.remove(); // nothing was written
  }

  get #text() {
    if (this.#markdown) return this.#markdown;
    const node = element("div", "markdown");
    this.#root.append(node);
    return (this.#markdown = new MarkdownView(node, document.getElementById("copy").content.firstElementChild));
  }
}
