// The list of threads in the side panel: search, archived threads, and the actions of each menu.

import { confirmDeletion } from "./deletion.js";
import { explain } from "./explain.js";
import { announce, strings } from "./i18n.js";
import { ThreadItem } from "./thread.js";
import { Problem } from "../net/problems.js";
import { archiveThread, deleteThread, listThreads, readFirstQuestion, renameThread } from "../net/store.js";

const $ = (id) => document.getElementById(id);
const SEARCH_AFTER = 250; // milliseconds after the last key

export class ThreadList {
  #items = new Map(); // by UUID, in display order
  #questions = new Map(); // the first ones, by UUID of threads that have no name yet
  #pages = 1;
  #active = "";
  #asked = 0; // number of requests; only the latest response is shown
  #on;

  /** `on` has deleted(uuid), named(uuid, title) and refused(problem). */
  constructor(on) {
    this.#on = on;
    $("search").addEventListener("input", () => this.#searchSoon());
    $("archived").addEventListener("click", () => this.#toggleArchived());
    $("more").addEventListener("click", () => this.#showMore());
    $("again").addEventListener("click", () => this.refresh());
    $("threads").addEventListener("click", ({ target }) => this.#act(target.closest("button[data-act]")));
  }

  /** The UUIDs of the threads in the list. */
  get known() {
    return new Set(this.#items.keys());
  }

  isUnnamed(uuid) {
    return this.#items.get(uuid)?.isUnnamed ?? false;
  }

  /** Remember the first question of a thread, which names it until it has a title. */
  noteQuestion(uuid, question) {
    this.#questions.set(uuid, question);
  }

  /** Mark the open thread, "" for none. */
  mark(uuid) {
    this.#active = uuid;
    for (const item of this.#items.values()) item.mark(item.uuid === uuid);
    if (this.#items.has(uuid)) this.#on.named(uuid, this.#items.get(uuid).title);
  }

  /** Reload the first page; threads of further pages stay below it. */
  refresh() {
    return this.#load(1, ({ threads, hasMore }) => {
      const rest = this.#pages > 1 ? [...this.#items.values()] : [];
      if (this.#pages === 1) $("more").hidden = !hasMore;
      this.#show([...threads, ...rest]);
    });
  }

  /** Go back to the first page, and reload it. */
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
      if (!hasMore) next?.link.focus(); // the button is hidden now
    });
  }

  async #load(number, show) {
    const asked = (this.#asked += 1);
    await this.#try(async () => {
      const found = await listThreads({ number, isArchived: this.#isArchived, query: $("search").value.trim() });
      if (asked !== this.#asked) return;
      show(found);
      await this.#nameUnanswered(found.threads);
    }, { canRepeat: true, isWanted: () => asked === this.#asked });
  }

  /** A thread whose first question failed has no title, but should be found again: find that question. */
  async #nameUnanswered(threads) {
    for (const { uuid, message_count: count } of threads) {
      const isUnknown = count === 1 && !this.#questions.has(uuid) && this.isUnnamed(uuid);
      if (isUnknown) this.noteQuestion(uuid, await readFirstQuestion(uuid));
      const item = this.#items.get(uuid);
      const question = this.#questions.get(uuid) ?? "";
      if (item?.isUnnamed && item.question !== question) item.question = question;
    }
    this.mark(this.#active);
  }

  /** Run `act`, and show its Problem if it fails; resolves to whether it succeeded. */
  async #try(act, { canRepeat = false, isWanted = () => true } = {}) {
    try {
      await act();
      this.#showNotice("");
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (isWanted()) this.#showNotice(explain(error), canRepeat);
      this.#on.refused(error);
      return false;
    }
  }

  #showNotice(sentence, canRepeat = false) {
    $("side-notice").textContent = sentence;
    $("again").hidden = !canRepeat;
  }

  /** Show these threads, each once. Nodes of items are reused, so that focus and open menus are kept. */
  #show(threads) {
    const items = new Map();
    for (const { uuid, name } of threads.filter((thread) => !items.has(thread.uuid))) {
      const item = this.#items.get(uuid) ?? new ThreadItem({ uuid, name }, (...args) => this.#rename(...args));
      if (item.name !== name) item.setName(name);
      item.showActions({ isArchived: this.#isArchived });
      items.set(uuid, item);
    }
    this.#items = items;
    const list = $("threads");
    for (const [at, { element }] of [...items.values()].entries()) {
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    }
    while (list.children.length > items.size) list.lastChild.remove();
    $("no-threads").hidden = items.size > 0;
    $("no-threads").textContent = this.#emptyText;
    this.mark(this.#active);
  }

  get #emptyText() {
    if ($("search").value.trim()) return strings.nothing;
    return this.#isArchived ? strings["none-archived"] : strings.none;
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
      archive: () => this.#setArchived(item, true),
      unarchive: () => this.#setArchived(item, false),
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
    if (await this.#try(() => renameThread(item.uuid, name))) return announce(strings.renamed);
    item.setName(before);
    this.mark(this.#active);
    item.openName(name);
  }

  async #setArchived(item, isArchived) {
    const isDone = await this.#try(() => archiveThread(item.uuid, isArchived));
    if (isDone) this.#drop(item, isArchived ? strings["put-away"] : strings["taken-back"]);
  }

  async #delete(item) {
    if (!(await confirmDeletion(item.title))) return;
    if (!(await this.#try(() => deleteThread(item.uuid)))) return;
    this.#drop(item, strings.deleted);
    this.#on.deleted(item.uuid);
  }

  /** Remove an item from the list, and focus its neighbour. */
  #drop(item, sentence) {
    const all = [...this.#items.values()];
    const at = all.indexOf(item);
    const neighbour = all[at + 1] ?? all[at - 1];
    this.#show(all.filter((other) => other !== item));
    (neighbour?.link ?? $("search")).focus();
    announce(sentence);
  }
}
