// The transcript: one Turn per question, drawn at most once per frame, and scrolling to the newest line.

import { strings } from "./i18n.js";
import { Versions } from "./versions.js";
import { MarkdownView } from "../markdown/view.js";

const REST = 3; // after drawing for t milliseconds, wait at least 3t, so that typing stays responsive

/** One question with its answer, in all versions. Made from the <template id="turn">. */
export class Turn {
  inForce = ""; // the UUID of the current question on the server; an edited one is current once it has an answer
  #markdown = null;
  #thoughts = "";
  #frame = 0;
  #restUntil = 0;

  /** `exchange` is {questions, answers}, see net/store.js. One that is not stored has a question without UUID. */
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

  /** Whether all that the server has stored is known. */
  get isSettled() {
    const { last } = this.questions; // undefined if the assistant opened the conversation
    return Boolean(!last || last.uuid) && (this.answer === "" || Boolean(this.answers.last.uuid));
  }

  /** Begin an answer: a new version if there is one already. */
  begin() {
    this.answers.add({ text: "" });
    this.#find(".thinking").hidden = true;
    this.#find(".thoughts").replaceChildren();
    this.#find(".outcome").hidden = true;
    this.#find(".waiting").hidden = false;
    this.#find(".answer").setAttribute("aria-busy", "true");
  }

  /** Show whether the connection is broken; the answer continues on the server. */
  showBreak(isBroken) {
    this.#find(".waiting b").textContent = isBroken ? strings.reconnecting : "";
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

  /** End the answer. `sentence` says why, unless it is complete; `isError` how to show it. */
  finish({ sentence = "", isError = false, canRetry = false } = {}) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#find("[aria-busy]")) this.#draw({ done: true });
    if (this.answers.last?.text === "") this.answers.set(this.answers.all.slice(0, -1)); // keep the earlier version
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

  /** Set the UUIDs {question, answer} of the stored messages. */
  identify({ question, answer }) {
    const asked = this.questions.last;
    if (question) asked.uuid = question;
    if (answer && this.answers.last) {
      this.answers.last.uuid = answer;
      const before = this.answers.all.slice(0, -1);
      if (before.at(-1)?.uuid === answer) this.answers.set(before); // it ended while the page was loading: read twice
    }
    if (answer || this.questions.all.length === 1) this.inForce = asked?.uuid ?? "";
    if (question || answer) this.#showTools();
  }

  /** Take the versions of the server, unless there are more here. */
  adopt({ questions, answers }) {
    if (questions.length >= this.questions.all.length) this.questions.set(questions);
    if (answers.length >= this.answers.all.length) this.answers.set(answers);
    this.inForce = questions.at(-1)?.uuid ?? "";
    this.#showTools();
  }

  /** Show the question that is being answered; an edited one becomes current with its answer only. */
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

/** Keep the end of the page in view while it grows, unless the user scrolled up; `button` returns to it. */
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
