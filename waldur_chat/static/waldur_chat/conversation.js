// The conversation on the page: its turns, the running one, and the thread that stores them.

import { callOfRow, nameOf } from "./net/calls.js";
import { Problem } from "./net/problems.js";
import { receiveAnswer } from "./net/resume.js";
import { cancelTurn, findThread, isStored, readThread } from "./net/store.js";
import { buildInput } from "./state/client_history.js";
import { newKey, removeQuestion, removeQuestionSoon, savedQuestion, saveQuestion } from "./state/outbox.js";
import { COMPLETE, endOf, STOPPED } from "./answer/ends.js";
import { explain } from "./ui/explain.js";
import { announce, format, showNotice, strings } from "./ui/i18n.js";
import { titleOf } from "./ui/thread.js";
import { Turn } from "./ui/transcript.js";

const page = document.body.dataset;
const SETTLE_DELAYS = [0, 0.3, 1, 2, 4, 8]; // seconds between requests for the stored messages of a turn that ended

export class Conversation {
  turns = [];
  thread = ""; // its UUID; "" until the server has named it
  opened = Promise.resolve(); // pending while a thread is read
  #current = null; // the AbortController of the running turn
  #element;
  #on;

  /**
   * Turns are shown in `element`. `on` has the callbacks began(), ended(turn, outcome), changed(), broke(isBroken),
   * joined(thread), found(thread) for a thread that must be opened again, and known().
   */
  constructor(element, on) {
    this.#element = element;
    this.#on = on;
  }

  get isBusy() {
    return this.#current !== null;
  }

  turnOf(node) {
    return this.turns.find(({ element }) => element.contains(node));
  }

  ask(question) {
    return this.#run(this.#add({ questions: [{ text: question }] }));
  }

  /**
   * Ask again: for another version of the answer, or as a new question if it was not stored. If the answer was lost,
   * open the thread again instead.
   */
  again(turn) {
    if (turn.isLost || (this.thread && !turn.questions.last)) return this.#on.found(this.thread);
    return turn.inForce ? this.#run(turn) : this.ask(this.take(turn));
  }

  edit(turn, question) {
    if (turn.questions.last.uuid) turn.questions.add({ text: question });
    else turn.questions.set([...turn.questions.all.slice(0, -1), { text: question }]); // that one was not stored
    return this.#run(turn);
  }

  /** Approve or deny a call of a tool, by `act`; the answer goes on then. */
  async decide(uuid, act) {
    const turn = this.#add({ questions: [] });
    const url = `${page.callsUrl}${uuid}/${act}/`;
    const { row, isRefused, problem, end } = await this.#run(turn, { key: newKey(), url, body: {} });
    if (turn.answers.last || !(row || isRefused || end?.status === "complete")) return;
    this.take(turn); // nothing was written: others wait, it was refused, or the call has left the rest to the user
    this.turns.at(-1)?.comeBack();
    if (!row && !isRefused) return;
    if (row) return this.#ownerOf(uuid, turn).takeCall({ uuid, ...callOfRow(row) });
    await this.#on.found(this.thread); // somebody may have decided elsewhere
    showNotice(explain(problem));
  }

  stop() {
    this.#current?.abort();
  }

  /** Leave the conversation; the server continues a running turn. */
  clear() {
    removeQuestion();
    this.#current?.abort();
    this.#current = null;
    this.turns = [];
    this.thread = "";
    this.#element.replaceChildren();
    this.#on.changed();
  }

  /**
   * Show a stored thread, and resume its running turn. Resolves to its name, or to null if another one was opened
   * meanwhile. Throws a Problem.
   */
  open(thread) {
    const opening = this.#open(thread);
    this.opened = opening.catch(() => {});
    return opening;
  }

  async #open(thread) {
    const asked = savedQuestion(thread);
    this.clear();
    if (asked) saveQuestion(asked);
    this.thread = thread;
    const turns = this.turns;
    const { name, running, exchanges } = await readThread(thread);
    if (turns !== this.turns) return null;
    for (const exchange of exchanges) this.#add(exchange);
    this.#on.changed();
    const last = this.turns.at(-1);
    if (running) this.#resumeTurn(running);
    else last?.showUnanswered();
    if (!running) this.resendSaved();
    return titleOf(name, this.turns.length > 1 || last?.answers.last ? "" : last?.question);
  }

  /** Send the saved question of this thread again, if the page was left before it arrived. */
  resendSaved() {
    const asked = !this.isBusy && savedQuestion(this.thread);
    if (!asked) return;
    const { input, mode, thread_uuid: thread } = asked.body;
    const last = mode && this.turns.at(-1);
    const turn = last || this.#add({ questions: [{ text: input }] });
    if (last && mode === "edit") turn.questions.add({ text: input });
    this.#run(turn, { ...asked, isInThread: Boolean(thread) });
  }

  /** Resume the running turn: it writes a new version of the last answer, or the first one. */
  #resumeTurn(running) {
    const turn = this.turns.at(-1) ?? this.#add({ questions: [] });
    turn.showAsked();
    this.#run(turn, { turn: running });
  }

  /** Remove a turn that is not stored, and return its question. */
  take(turn) {
    this.turns.splice(this.turns.indexOf(turn), 1);
    turn.element.remove();
    this.#on.changed();
    return turn.question;
  }

  #add(exchange) {
    this.turns.at(-1)?.leave();
    const turn = new Turn(exchange);
    this.turns.push(turn);
    this.#element.append(turn.element);
    return turn;
  }

  /** `asked` is the argument of receiveAnswer(). */
  async #run(turn, asked = { key: newKey(), body: this.#bodyOf(turn) }) {
    const known = this.#on.known();
    const { signal } = (this.#current = new AbortController());
    if (isStored && asked.key && !asked.url) saveQuestion(asked);
    else removeQuestion();
    turn.begin();
    this.#on.began();
    const outcome = await this.#receive(turn, asked, signal);
    turn.finish(outcome.end);
    if (!outcome.isRefused && !asked.url) this.#supersede(turn);
    if (this.#current?.signal !== signal) return {}; // the user has left the conversation
    this.#current = null;
    if (signal.aborted || outcome.problem || outcome.isFound) removeQuestion();
    else removeQuestionSoon(asked.key);
    if (outcome.isFound) this.#on.found(this.thread);
    else this.#end(turn, outcome, known, signal);
    return outcome;
  }

  /** Whoever asks further decides no more on calls that have waited. */
  #supersede(turn) {
    for (const one of this.turns) if (one !== turn) one.supersede();
  }

  #end(turn, outcome, known, signal) {
    this.#on.ended(turn, outcome);
    turn.isLost = Boolean(outcome.isLost);
    if (!isStored || outcome.isRefused || outcome.isLost || (turn.isSettled && !signal.aborted)) return;
    this.#settle(turn, known, signal.aborted);
  }

  #bodyOf(turn) {
    const input = turn.question;
    if (!isStored) return { input: buildInput(this.turns.slice(0, -1), input, Number(page.maxLength)) };
    if (!this.thread) return { input };
    const body = { input, thread_uuid: this.thread };
    if (!turn.inForce) return body;
    if (turn.questions.last.uuid === turn.inForce) return { ...body, mode: "reload" };
    return { ...body, mode: "edit", edit_message_uuid: turn.inForce };
  }

  /** Add the events to `turn`, and return the outcome: its `end`, the `problem` if there was one, and what follows. */
  async #receive(turn, asked, signal) {
    let isBroken = false;
    try {
      for await (const event of receiveAnswer(asked, signal)) {
        if (isBroken !== (event.type === "broken")) this.#showBreak(turn, (isBroken = !isBroken));
        if (event.type === "head" && asked.isInThread) return { isFound: true }; // it may be in the thread already
        turn.identify(event);
        if (event.thread && asked.body?.thread_uuid) removeQuestion(); // the thread names its running turn from now on
        this.#noteThread(event.thread);
        if (event.type === "text") turn.addText(event.text);
        if (event.type === "reasoning") turn.addThought(event.text);
        if (event.type === "warning") turn.warn(event.text);
        if (event.type === "call") this.#takeCall(event, turn);
        if (event.type === "row") return { end: COMPLETE, row: event.row };
        if (event.type === "end") return { end: { status: event.status } };
      }
      return {};
    } catch (error) {
      if (signal.aborted) return { end: STOPPED };
      if (!(error instanceof Problem)) throw error;
      turn.identify(error);
      this.#noteThread(error.thread);
      const isLost = Boolean(error.turn);
      const isRefused = !isLost && error.status < 500 && !error.thread; // nothing was stored
      return { end: endOf(error, isRefused), problem: error, isRefused, isLost };
    }
  }

  #takeCall({ isNew, call }, turn) {
    this.#ownerOf(call.uuid, turn).takeCall(call);
    if (isNew) announce(format(strings.calls, { tool: nameOf(call) }));
  }

  /** The turn that shows this call: an answer that goes on tells what becomes of calls in an earlier one. */
  #ownerOf(uuid, turn) {
    return this.turns.find((one) => one.hasCall(uuid)) ?? turn;
  }

  #showBreak(turn, isBroken) {
    turn.showBreak(isBroken);
    this.#on.broke(isBroken);
  }

  #noteThread(thread) {
    if (!isStored || !thread || this.thread) return;
    this.thread = thread;
    this.#on.joined(thread);
  }

  /**
   * Find out what the server has stored of the last turn, if the stream did not say so. `known` are the threads from
   * before the turn; `isStopped` says that the turn still has to be cancelled.
   */
  async #settle(turn, known, isStopped) {
    const turns = this.turns;
    const isLeft = () => turns !== this.turns || turns.at(-1) !== turn || this.isBusy;
    for (const pause of SETTLE_DELAYS) {
      if (pause) await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
      if (isLeft()) return;
      try {
        const thread = this.thread || (await findThread(turn.question, known));
        if (thread && isStopped) await cancelTurn(thread);
        isStopped &&= !thread;
        const exchange = thread && (await readThread(thread)).exchanges.at(-1);
        if (isLeft()) return;
        this.#noteThread(thread);
        if (exchange && this.#isOf(turn, exchange)) turn.adopt(exchange);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
      if (!isStopped && turn.isSettled) return;
    }
  }

  #isOf(turn, { questions }) {
    const { text, uuid } = questions.at(-1) ?? {};
    return text === turn.question && !this.turns.some((other) => other !== turn && other.inForce === uuid);
  }
}
