// The versions of one message, and the pager between them.

import { announce, format, strings } from "./i18n.js";

/** `pager` shows "2 / 3" between two buttons if there are several; `draw` shows one version {text, ...}. */
export class Versions {
  all = [];
  #at = 0;
  #pager;
  #draw;

  constructor(pager, draw) {
    pager.append(document.getElementById("pager").content.cloneNode(true));
    this.#pager = pager;
    this.#draw = draw;
  }

  get last() {
    return this.all.at(-1);
  }

  get shown() {
    return this.all[this.#at];
  }

  /** Replace all versions, and show the last. */
  set(all) {
    this.all = all;
    this.#show(all.length - 1);
  }

  add(version) {
    this.set([...this.all, version]);
  }

  /** Move this many versions forward. */
  move(steps) {
    this.#show(this.#at + steps);
    announce(format(strings.version, this.#place()));
    const [older, newer] = this.#pager.querySelectorAll("button");
    if (older.disabled) newer.focus();
    if (newer.disabled) older.focus();
  }

  #place() {
    return { number: this.#at + 1, count: this.all.length };
  }

  #show(at) {
    this.#at = at;
    const { number, count } = this.#place();
    const [older, newer] = this.#pager.querySelectorAll("button");
    this.#pager.hidden = count < 2;
    this.#pager.querySelector("span").textContent = `${number} / ${count}`;
    older.disabled = number <= 1;
    newer.disabled = number >= count;
    if (this.shown) this.#draw(this.shown, number === count);
  }
}
