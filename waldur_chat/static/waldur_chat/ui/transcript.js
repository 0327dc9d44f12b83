// The transcript: one Turn per question, drawn at most once per frame.

import { COMPLETE, describe, isSame, UNANSWERED } from "../answer/ends.js";
import { strings } from "./i18n.js";
import { Versions } from "./versions.js";
import { AnswerParts } from "../answer/parts.js";
import { lock, unlock } from "../answer/question_form.js";

const REST = 3; // after drawing for t milliseconds, wait at least 3t, so that typing stays responsive

/** One question with its answer, in all versions. Made from the <template id="turn">. */
export class Turn {
  inForce = ""; // the UUID of the current question on the server; an edited one is current once it has an answer
  #attempt = null; // the end of the latest attempt, if that left no answer
  #parts = null;
  #isPast = false; // a later turn exists
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
      this.#drawAnswer(version);
      this.#find(".warning").textContent = version.warning ?? "";
      this.#showEnd();
      this.showRating();
    });
    this.adopt({ questions, answers });
    this.#showFailedAttempt();
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
    return Boolean(!last || last.uuid) && (!isWritten(this.answers.last) || Boolean(this.answers.last.uuid));
  }

  /** Begin an answer: a new version if there is one already. */
  begin() {
    this.#attempt = null;
    this.answers.add({ text: "", calls: [] });
    this.#find(".thinking").hidden = true;
    this.#find(".thoughts").replaceChildren();
    this.#find(".waiting").hidden = false;
    this.#find(".answer").setAttribute("aria-busy", "true");
  }

  /** Show whether the connection is broken; the answer continues on the server. */
  showBreak(isBroken) {
    this.#find(".waiting b").textContent = isBroken ? strings.reconnecting : "";
  }

  addText(text) {
    this.answers.last.text += text;
    this.#parts.write(text);
    this.#drawSoon();
  }

  /** Whether this call of a tool is in one of the answers. */
  hasCall(uuid) {
    return Boolean(this.#callOf(uuid));
  }

  /** Show a call of a tool, or what becomes of one that is shown: see net/calls.js. */
  takeCall(fields) {
    const { last } = this.answers;
    const call = this.#callOf(fields.uuid) ?? { ...fields, at: last.text.length };
    Object.assign(call, fields);
    if (!this.hasCall(call.uuid)) last.calls.push(call);
    this.#parts.showCall(call);
    if (this.#isPast) this.leave();
  }

  /** Whether the user has to fill in a form, or to decide on a call. */
  get needsUser() {
    return !this.#isPast && Boolean(this.#find("form.asked, .approval:not([hidden])"));
  }

  /** Lock the forms of the answer: the conversation has gone on. */
  leave() {
    this.#isPast = true;
    for (const form of this.element.querySelectorAll("form.asked")) lock(form);
  }

  /** It is the last turn again: one that followed has written nothing. */
  comeBack() {
    this.#isPast = false;
    for (const form of this.element.querySelectorAll("form.asked")) unlock(form);
  }

  /** No call waits any more for the user's decision. */
  supersede() {
    for (const { uuid, approval, outcome } of this.#calls)
      if (approval && !outcome) this.takeCall({ uuid, approval: "", outcome: "expired" });
  }

  get #calls() {
    return this.answers.all.flatMap(({ calls = [] }) => calls);
  }

  #callOf(uuid) {
    return this.#calls.find((call) => call.uuid === uuid);
  }

  addThought(text) {
    this.#thoughts += text;
    this.#drawSoon();
  }

  /** Show what the reader must know of how the answer is made. */
  warn(sentence) {
    this.answers.last.warning = this.#find(".warning").textContent = sentence;
  }

  /** End the answer, see ends.js. */
  finish(end = COMPLETE) {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#find("[aria-busy]")) this.#draw({ done: true });
    const { last } = this.answers;
    const hasAnswer = isWritten(last);
    this.#attempt = hasAnswer ? null : end;
    if (hasAnswer) last.end = end;
    if (hasAnswer) this.#endCalls(last);
    else this.answers.set(this.answers.all.slice(0, -1)); // keep the earlier version
    this.#find(".waiting").hidden = true;
    this.showBreak(false);
    this.#find(".answer").removeAttribute("aria-busy");
    this.#showEnd();
    this.#showTools();
  }

  /** Of calls that have not ended with their turn nobody knows what came. */
  #endCalls({ calls = [] }) {
    for (const call of calls.filter(({ outcome, approval }) => !outcome && approval !== "needed"))
      this.takeCall({ uuid: call.uuid, outcome: "unknown" });
  }

  /** Say that the question has no answer, unless it has one or says why not. */
  showUnanswered() {
    if (this.questions.last && !this.answers.last) this.#attempt ??= UNANSWERED;
    this.#showEnd();
  }

  #showFailedAttempt() {
    this.showAsked({ onlyEnded: true });
    const { end } = this.questions.last ?? {};
    if (end && !isSame(end, COMPLETE)) this.#attempt = end;
    this.#showEnd();
  }

  /** Show the end of the latest attempt, or of an earlier version of the answer while that is shown. */
  #showEnd() {
    const { shown, last } = this.answers;
    const isLast = shown === last;
    const end = (isLast && this.#attempt) || shown?.end || COMPLETE;
    const { sentence, isError, canRetry } = describe(end);
    const outcome = this.#find(".outcome");
    outcome.hidden = sentence === "";
    outcome.classList.toggle("error", isError);
    outcome.querySelector("p").textContent = sentence;
    outcome.querySelector("[data-act=retry]").hidden = !canRetry || !isLast;
    outcome.querySelector("[data-act=edit]").hidden = !isLast;
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
    if (answers.length >= this.answers.all.length) this.#adoptAnswers(answers);
    this.inForce = questions.at(-1)?.uuid ?? "";
    this.#showTools();
  }

  #adoptAnswers(answers) {
    const [before, after] = [this.answers.last?.end, answers.at(-1)?.end];
    if (answers.length > this.answers.all.length) this.#attempt = null;
    if (before && after && isSame(before, after)) answers.at(-1).end = before; // its sentence may say more
    this.answers.set(answers);
  }

  /**
   * Show the question that was asked last; an edited one becomes current with its answer only. With `onlyEnded`, only
   * if that has an end without an answer.
   */
  showAsked({ onlyEnded = false } = {}) {
    const { all } = this.questions;
    const asked = newestOf(all);
    if (asked === this.questions.last || asked.created < newestOf(this.answers.all)?.created) return;
    if (onlyEnded && isSame(asked.end, COMPLETE)) return;
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
    this.#find(".answer .tools [data-act=retry]").hidden = !this.questions.last;
  }

  #drawAnswer(version) {
    this.#parts = new AnswerParts(this.#find(".parts"), version);
    if (this.#isPast) this.leave();
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
    this.#parts.draw(how);
    if (!this.#thoughts) return;
    this.#find(".thinking").hidden = false;
    this.#find(".thoughts").append(this.#thoughts);
    this.#thoughts = "";
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

function isWritten(version) {
  return Boolean(version?.text || version?.calls?.length);
}

function newestOf(versions) {
  return [...versions].sort((one, other) => one.created - other.created).at(-1);
}
