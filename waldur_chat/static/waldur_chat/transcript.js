// The transcript: one Turn per question, drawn at most once a frame, and the page that follows the newest line.

import { MarkdownView } from "./markdown.js";

const REST = 3; // drawing that took t milliseconds is followed by at least 3t without, so typing stays swift

/** One question and what became of it. Made from the page's <template id="turn">. */
export class Turn {
  answer = "";
  #thoughts = "";
  #frame = 0;
  #restUntil = 0;

  constructor(question) {
    this.question = question;
    this.element = document.getElementById("turn").content.cloneNode(true).firstElementChild;
    this.#find(".question p").textContent = question;
    const copy = document.getElementById("copy").content.firstElementChild;
    this.markdown = new MarkdownView(this.#find(".markdown"), copy);
  }

  addText(text) {
    this.answer += text;
    this.markdown.write(text);
    this.#drawSoon();
  }

  addThought(text) {
    this.#thoughts += text;
    this.#drawSoon();
  }

  /** No more will come. `sentence` says why if that was not a plain end; `isError` how to show it. */
  finish({ sentence = "", isError = false, canRetry = false } = {}) {
    cancelAnimationFrame(this.#frame);
    this.#draw({ done: true });
    this.#find(".waiting").remove();
    this.#find(".answer").removeAttribute("aria-busy");
    const outcome = this.#find(".outcome");
    outcome.hidden = sentence === "";
    outcome.classList.toggle("error", isError);
    outcome.querySelector("p").textContent = sentence;
    outcome.querySelector("[data-act=retry]").hidden = !canRetry;
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
    this.markdown.draw(how);
    if (!this.#thoughts) return;
    this.#find(".thinking").hidden = false;
    this.#find(".thoughts").append(this.#thoughts);
    this.#thoughts = "";
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
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
