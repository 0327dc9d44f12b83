// The transcript: one Turn per question, drawn at most once a frame, and the page that follows the newest line.

import { MarkdownView } from "../markdown/view.js";
import { Versions } from "./versions.js";
import { words } from "./i18n.js";

const REST = 3; // drawing that took t milliseconds is followed by at least 3t without, so typing stays swift

/** One question and what became of it, in all versions. Made from the page's <template id="turn">. */
export class Turn {
  inForce = ""; // the UUID of the question that the server counts as asked: an edited one only once it is answered
  #markdown = null;
  #thoughts = "";
  #frame = 0;
  #restUntil = 0;

  /** `exchange` is {questions, answers}, see net/store.js. A turn that is not stored has one question without a UUID. */
  constructor({ questions, answers = [] }) {
    this.element = document.getElementById("turn").content.cloneNode(true).firstElementChild;
    this.questions = new Versions(this.#find(".question .pager"), (version, isLast) => {
      this.#find(".question").classList.toggle("old", !isLast);
      this.#find(".question p").textContent = version.text;
    });
    this.answers = new Versions(this.#find(".answer .pager"), (version, isLast) => {
      this.#find(".answer").classList.toggle("old", !isLast);
      this.#drawAnswer(version.text);
      this.showRating();
    });
    this.adopt({ questions, answers });
    this.#find(".question").hidden = questions.length === 0;
  }

  get question() {
    return this.questions.last?.text ?? "";
  }

  get answer() {
    return this.answers.last?.text ?? "";
  }

  /** Whether nothing is left to learn about what the server has stored. */
  get isSettled() {
    const { last } = this.questions; // none where the assistant opens the conversation
    return Boolean(!last || last.uuid) && (this.answer === "" || Boolean(this.answers.last.uuid));
  }

  /** An answer begins: a new version, if there was one before. */
  begin() {
    this.answers.add({ text: "" });
    this.#find(".thinking").hidden = true;
    this.#find(".thoughts").replaceChildren();
    this.#find(".outcome").hidden = true;
    this.#find(".waiting").hidden = false;
    this.#find(".answer").setAttribute("aria-busy", "true");
  }

  /** Whether the connection is broken, and the answer is written on without us. */
  showBreak(isBroken) {
    this.#find(".waiting b").textContent = isBroken ? words.reconnecting : "";
  }

  addText(text) {
    this.answers.last.text += text;
    this.#markdown.write(text);
    this.#drawSoon();
  }

  addThought(text) {
    this.#thoughts += text;
    this.#drawSoon();
  }

  /** No more will come. `sentence` says why if that was not a plain end; `isError` how to show it. */
  finish({ sentence = "", isError = false, canRetry = false } = {}) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#find("[aria-busy]")) this.#draw({ done: true });
    if (this.answers.last?.text === "") this.answers.set(this.answers.all.slice(0, -1)); // the earlier one stands
    this.#find(".waiting").hidden = true;
    this.showBreak(false);
    this.#find(".answer").removeAttribute("aria-busy");
    const outcome = this.#find(".outcome");
    outcome.hidden = sentence === "";
    outcome.classList.toggle("error", isError);
    outcome.querySelector("p").textContent = sentence;
    outcome.querySelector("[data-act=retry]").hidden = !canRetry;
    this.#showTools();
  }

  /** Learn the UUIDs {question, answer} of what is stored. */
  identify({ question, answer }) {
    const asked = this.questions.last;
    if (question) asked.uuid = question;
    if (answer && this.answers.last) {
      this.answers.last.uuid = answer;
      const before = this.answers.all.slice(0, -1);
      if (before.at(-1)?.uuid === answer) this.answers.set(before); // it ended while the page was opened: read twice
    }
    if (answer || this.questions.all.length === 1) this.inForce = asked?.uuid ?? "";
    if (question || answer) this.#showTools();
  }

  /** Take over the versions that the server has, unless there is more here. */
  adopt({ questions, answers }) {
    if (questions.length >= this.questions.all.length) this.questions.set(questions);
    if (answers.length >= this.answers.all.length) this.answers.set(answers);
    this.inForce = questions.at(-1)?.uuid ?? "";
    this.#showTools();
  }

  /** Show the question that is being answered: one that was edited is not in force before it has its answer. */
  showAsked() {
    const { all } = this.questions;
    const asked = newestOf(all);
    if (asked === this.questions.last || asked.created < newestOf(this.answers.all)?.created) return;
    this.questions.set([...all.filter((version) => version !== asked), asked]);
  }

  showRating() {
    const score = this.answers.shown?.score;
    this.#find("[data-act=up]").setAttribute("aria-pressed", score === true);
    this.#find("[data-act=down]").setAttribute("aria-pressed", score === false);
  }

  #showTools() {
    this.element.classList.toggle("stored", Boolean(this.inForce));
    this.#find(".question .tools").hidden = !this.inForce;
    this.#find(".answer .tools").hidden = !this.answers.last?.uuid;
  }

  #drawAnswer(text) {
    const copy = document.getElementById("copy").content.firstElementChild;
    this.#find(".markdown").replaceChildren();
    this.#markdown = new MarkdownView(this.#find(".markdown"), copy);
    this.#markdown.write(text);
    this.#markdown.draw({ done: text !== "" });
  }

  #drawSoon() {
    this.#frame ||= requestAnimationFrame((now) => {
      this.#frame = 0;
      if (now < this.#restUntil) return this.#drawSoon();
      const began = performance.now();
      this.#draw();
      const ended = performance.now();
      this.#restUntil = ended + REST * (ended - began);
    });
  }

  #draw(how) {
    this.#markdown.draw(how);
    if (!this.#thoughts) return;
    this.#find(".thinking").hidden = false;
    this.#find(".thoughts").append(this.#thoughts);
    this.#thoughts = "";
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

function newestOf(versions) {
  return [...versions].sort((one, other) => one.created - other.created).at(-1);
}

/** Keep the end of the page in sight while it grows, unless the reader scrolled up; `button` leads back there. */
export function followEnd(button) {
  let following = true;
  let last = 0;
  const page = document.documentElement;
  const toEnd = () => {
    following = true;
    scrollTo(0, page.scrollHeight);
  };
  const look = () => {
    const isAtEnd = innerHeight + scrollY >= page.scrollHeight - 40;
    if (isAtEnd) following = true;
    else if (scrollY < last) following = false;
    last = scrollY;
    button.hidden = following;
  };
  addEventListener("scroll", look, { passive: true });
  button.addEventListener("click", toEnd);
  new ResizeObserver(() => (following ? scrollTo(0, page.scrollHeight) : look())).observe(document.body);
  return toEnd;
}
