// One thread in the list: its link, its menu, and the field for its name.

import { format, strings } from "./i18n.js";
import { hashOf } from "../state/address.js";

const UNNAMED = "New chat"; // the server's name for a thread without a title
const TITLE_LENGTH = 60;

/** What to call a thread: its name, or else the first words of its question. */
export function titleOf(name, question = "") {
  if (name !== UNNAMED) return name;
  const words = question.trim().replace(/\s+/g, " ");
  if (words.length <= TITLE_LENGTH) return words || strings.unnamed;
  return `${words.slice(0, TITLE_LENGTH).replace(/ \S*$/, "")}…`;
}

/** Made from the page's <template id="thread">. `rename(item, name)` is called with another name. */
export class ThreadItem {
  #question = "";
  #rename;

  constructor({ uuid, name }, rename) {
    this.element = document.getElementById("thread").content.cloneNode(true).firstElementChild;
    this.uuid = uuid;
    this.link = this.#find("a");
    this.link.href = `#${hashOf(uuid)}`;
    this.#rename = rename;
    this.setName(name);
    this.#find("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#saveName();
    });
    this.#find("input").addEventListener("blur", () => this.#saveName());
    this.element.addEventListener("keydown", (event) => this.#closeOnEscape(event));
  }

  get isUnnamed() {
    return this.name === UNNAMED;
  }

  get title() {
    return titleOf(this.name, this.#question);
  }

  /** What to call the thread by as long as it has no name. */
  get question() {
    return this.#question;
  }

  set question(text) {
    this.#question = text;
    this.setName(this.name);
  }

  setName(name) {
    this.name = name;
    this.link.textContent = this.link.title = this.title;
    this.#menuButton.setAttribute("aria-label", format(strings.options, { name: this.title }));
  }

  mark(isActive) {
    this.element.classList.toggle("active", isActive);
    if (isActive) this.link.setAttribute("aria-current", "true");
    else this.link.removeAttribute("aria-current");
  }

  /** Show the menu entries for the list of archived threads, or for the other one. */
  showActions({ isArchived }) {
    this.#find("[data-act=archive]").hidden = isArchived;
    this.#find("[data-act=unarchive]").hidden = !isArchived;
  }

  toggleMenu(isOpen = this.#find(".menu").hidden) {
    this.#find(".menu").hidden = !isOpen;
    this.#menuButton.setAttribute("aria-expanded", isOpen);
  }

  openName(name = this.title) {
    const input = this.#find("input");
    this.toggleMenu(false);
    this.#showForm(true);
    input.value = name;
    input.focus();
    input.select();
  }

  #saveName() {
    if (this.#find("form").hidden) return;
    const name = this.#find("input").value.trim();
    this.#showForm(false);
    if (name && name !== this.title) this.#rename(this, name);
  }

  #showForm(isShown) {
    const hadFocus = this.#find("form").contains(document.activeElement);
    this.#find("form").hidden = !isShown;
    this.link.hidden = this.#menuButton.hidden = isShown;
    if (hadFocus) this.#menuButton.focus();
  }

  /** Escape closes the menu or the field, and nothing else. */
  #closeOnEscape(event) {
    const isMenuOpen = !this.#find(".menu").hidden;
    if (event.key !== "Escape" || (this.#find("form").hidden && !isMenuOpen)) return;
    event.preventDefault();
    event.stopPropagation();
    if (isMenuOpen) this.toggleMenu(false);
    else this.#showForm(false);
    this.#menuButton.focus();
  }

  get #menuButton() {
    return this.#find("[data-act=menu]");
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}
