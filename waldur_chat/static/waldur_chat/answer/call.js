// One call of a tool: a line that opens to arguments and result, the user's decision, and what to show of the result.

import { drawBlock } from "./blocks.js";
import { drawFields } from "./fields.js";
import { hasCalls, nameOf, readResult } from "../net/calls.js";
import { Problem } from "../net/problems.js";
import { explain } from "../ui/explain.js";
import { format, language, strings } from "../ui/i18n.js";

const LONGEST_TIMER = 2 ** 31 - 1; // milliseconds

/** Made from the page's <template id="call">, of a call as net/calls.js has it, which may change. */
export class CallView {
  #call;
  #block = null; // the one that is shown
  #result = null; // what the model was told, once it was asked for
  #timer = 0;

  constructor(call) {
    this.element = document.getElementById("call").content.cloneNode(true).firstElementChild;
    this.element.dataset.uuid = call.uuid;
    this.#call = call;
    this.#find(".arguments").id = `arguments-${call.uuid}`;
    this.#find(".name").textContent = nameOf(call);
    this.#find("details").addEventListener("toggle", ({ target }) => target.open && this.#readResult());
    this.show();
  }

  /** Show the call as it is now. */
  show() {
    const call = this.#call;
    const state = stateOf(call);
    const isWaiting = state === "waiting";
    this.element.dataset.state = state;
    this.#find(".state").textContent = strings[`call-${state}`] ?? state;
    this.#find(".arguments").replaceChildren(drawFields(call.arguments, notesOf(call)));
    this.#find(".result").hidden = !call.outcome;
    this.#find(".result p").textContent = call.summary;
    this.#showApproval(isWaiting);
    if (this.#block !== call.block) this.#showBlock(call);
    if (this.#find("details").open) this.#readResult();
  }

  #showApproval(isWaiting) {
    const { expires } = this.#call;
    const approval = this.#find(".approval");
    if (approval.hidden === isWaiting) this.#find("details").open = isWaiting; // nobody should approve what they have not seen
    approval.hidden = !isWaiting;
    if (!isWaiting) return;
    approval.setAttribute("aria-label", format(strings.approval, { tool: nameOf(this.#call) }));
    approval.setAttribute("aria-describedby", this.#find(".arguments").id);
    this.#find(".until").textContent = expires ? format(strings.until, { time: timeOf(expires) }) : "";
    for (const button of approval.querySelectorAll("button")) button.hidden = !hasCalls;
    clearTimeout(this.#timer);
    if (expires) this.#timer = setTimeout(() => this.show(), Math.min(expires - Date.now() + 1, LONGEST_TIMER));
  }

  #showBlock({ block }) {
    this.#block = block;
    this.#find(".block").replaceChildren(...[block && drawBlock(block)].filter(Boolean));
  }

  /** Ask for what the model was told, which is too long to be sent with every answer. */
  async #readResult() {
    if (!hasCalls || !this.#call.outcome || this.#result !== null) return;
    this.#result = "";
    const told = this.#find(".result pre");
    try {
      told.textContent = this.#result = indented(await readResult(this.#call.uuid));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#result = null; // the next opening tries again
      told.textContent = explain(error);
    }
    told.hidden = told.textContent === "";
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

function stateOf({ outcome, approval, expires }) {
  if (outcome) return outcome;
  if (approval === "needed") return expires && expires <= Date.now() ? "expired" : "waiting";
  return approval || "running";
}

/** Words for where the arguments come from. What is not known here was made by the model, as far as anybody knows. */
function notesOf({ origins }) {
  return Object.fromEntries(Object.entries(origins).map(([name, sources]) => [name, noteOf(sources.map(wordsOf))]));
}

function noteOf(words) {
  if (words.length === 1) return words[0];
  return format(strings["origin-parts"], { origins: new Intl.ListFormat(language).format(words) });
}

function wordsOf({ source, tool }) {
  return format(strings[`origin-${source}`] ?? strings["origin-model"], { tool: nameOf({ tool }) });
}

function timeOf(milliseconds) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(milliseconds);
}

/** JSON on several lines; other text as it is. */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
