// The list of threads in the side panel: search, the archived ones, and what the menu of each does.

import { confirmDeletion } from "./deletion.js";
import { explain, Problem } from "../net/problems.js";
import { archiveThread, deleteThread, listThreads, renameThread } from "../net/store.js";
import { ThreadItem } from "./thread.js";
import { announce, words } from "./i18n.js";

const $ = (id) => document.getElementById(id);
const SEARCH_AFTER = 250; // milliseconds without a key

export class ThreadList {
  #items = new Map(); // by UUID, in the order in which they are shown
  #pages = 1;
  #active = "";
  #asked = 0; // only the latest answer of the server is shown
  #on;

  /** `on` has deleted(uuid), named(uuid, title) and refused(status). */
  constructor(on) {
    this.#on = on;
    $("search").addEventListener("input", () => this.#searchSoon());
    $("archived").addEventListener("click", () => this.#toggleArchived());
    $("more").addEventListener("click", () => this.#showMore());
    $("again").addEventListener("click", () => this.refresh());
    $("threads").addEventListener("click", ({ target }) => this.#act(target.closest("button[data-act]")));
  }

  /** The UUIDs of those in the list. */
  get known() {
    return new Set(this.#items.keys());
  }

  isUnnamed(uuid) {
    return this.#items.get(uuid)?.isUnnamed ?? false;
  }

  /** Mark the thread that is open, "" for none. */
  mark(uuid) {
    this.#active = uuid;
    for (const item of this.#items.values()) item.mark(item.uuid === uuid);
    if (this.#items.has(uuid)) this.#on.named(uuid, this.#items.get(uuid).title);
  }

  /** Ask for the threads that were used last; others that are shown already stay below them. */
  refresh() {
    return this.#load(1, ({ threads, hasMore }) => {
      const rest = this.#pages > 1 ? [...this.#items.values()] : [];
      if (this.#pages === 1) $("more").hidden = !hasMore;
      this.#show([...threads, ...rest]);
    });
  }

  /** The list as it is when it is opened. */
  restart() {
    this.#pages = 1;
    return this.refresh();
  }

  #showMore() {
    return this.#load(this.#pages + 1, ({ threads, hasMore }) => {
      this.#pages += 1;
      const before = [...this.#items.values()];
      this.#show([...before, ...threads]);
      $("more").hidden = !hasMore;
      const next = [...this.#items.values()][before.length];
      if (!hasMore) next?.link.focus(); // the button is gone
    });
  }

  async #load(number, show) {
    const asked = (this.#asked += 1);
    await this.#try(async () => {
      const found = await listThreads({ number, isArchived: this.#isArchived, query: $("search").value.trim() });
      if (asked === this.#asked) show(found);
    }, { canRepeat: true, isWanted: () => asked === this.#asked });
  }

  /** Do it, and say what went wrong; tells whether it was done. */
  async #try(act, { canRepeat = false, isWanted = () => true } = {}) {
    try {
      await act();
      this.#say("");
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (isWanted()) this.#say(explain(error), canRepeat);
      this.#on.refused(error.status);
      return false;
    }
  }

  #say(sentence, canRepeat = false) {
    $("side-notice").textContent = sentence;
    $("again").hidden = !canRepeat;
  }

  /** Show these, each once. Items stay the same nodes, so that focus and what is open in them stays too. */
  #show(threads) {
    const items = new Map();
    for (const { uuid, name } of threads.filter((thread) => !items.has(thread.uuid))) {
      const item = this.#items.get(uuid) ?? new ThreadItem({ uuid, name }, (...args) => this.#rename(...args));
      if (item.name !== name) item.setName(name);
      item.showActs({ isArchived: this.#isArchived });
      items.set(uuid, item);
    }
    this.#items = items;
    const list = $("threads");
    for (const [at, { element }] of [...items.values()].entries()) {
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    }
    while (list.children.length > items.size) list.lastChild.remove();
    $("no-threads").hidden = items.size > 0;
    $("no-threads").textContent = this.#emptyWord;
    this.mark(this.#active);
  }

  get #emptyWord() {
    if ($("search").value.trim()) return words.nothing;
    return this.#isArchived ? words["none-archived"] : words.none;
  }

  get #isArchived() {
    return $("archived").getAttribute("aria-pressed") === "true";
  }

  #toggleArchived() {
    $("archived").setAttribute("aria-pressed", !this.#isArchived);
    return this.restart();
  }

  #searchSoon() {
    clearTimeout(this.searching);
    this.searching = setTimeout(() => this.restart(), SEARCH_AFTER);
  }

  #act(button) {
    const item = [...this.#items.values()].find(({ element }) => element.contains(button));
    if (!button || !item) return;
    const acts = {
      menu: () => this.#toggleMenu(item),
      rename: () => item.openName(),
      archive: () => this.#putAway(item, true),
      unarchive: () => this.#putAway(item, false),
      delete: () => this.#delete(item),
    };
    acts[button.dataset.act]();
  }

  #toggleMenu(item) {
    for (const other of this.#items.values()) if (other !== item) other.toggleMenu(false);
    item.toggleMenu();
  }

  async #rename(item, name) {
    const before = item.name;
    item.setName(name);
    this.mark(this.#active);
    if (await this.#try(() => renameThread(item.uuid, name))) return announce(words.renamed);
    item.setName(before);
    this.mark(this.#active);
    item.openName(name);
  }

  async #putAway(item, isArchived) {
    const isDone = await this.#try(() => archiveThread(item.uuid, isArchived));
    if (isDone) this.#drop(item, isArchived ? words["put-away"] : words["taken-back"]);
  }

  async #delete(item) {
    if (!(await confirmDeletion(item.title))) return;
    if (!(await this.#try(() => deleteThread(item.uuid)))) return;
    this.#drop(item, words.deleted);
    this.#on.deleted(item.uuid);
  }

  /** Take one out of the list; who stood on it stands on its neighbour then. */
  #drop(item, sentence) {
    const all = [...this.#items.values()];
    const at = all.indexOf(item);
    const neighbour = all[at + 1] ?? all[at - 1];
    this.#show(all.filter((other) => other !== item));
    (neighbour?.link ?? $("search")).focus();
    announce(sentence);
  }
}
