// The conversation on the page: its turns, the one that is being answered, and the thread that keeps them.

import { buildInput } from "./state/client_history.js";
import { forgetQuestion, forgetSoon, keepQuestion, keptQuestion, newKey } from "./state/outbox.js";
import { explain, Problem } from "./net/problems.js";
import { follow } from "./net/resume.js";
import { cancelTurn, findThread, isStored, readThread } from "./net/store.js";
import { Turn } from "./ui/transcript.js";
import { words } from "./ui/i18n.js";

const page = document.body.dataset;
const SOON = [0, 0.3, 1, 2, 4, 8]; // seconds between looks at what the server has stored of a turn that ended

export class Conversation {
  turns = [];
  thread = ""; // its UUID, once there is one
  opened = Promise.resolve(); // pending while a thread is read
  #current = null; // the AbortController of the turn that is being answered
  #element;
  #on;

  /**
   * Turns appear in `element`. `on` has began(), ended(turn, outcome), changed(), broke(isBroken), joined(thread),
   * found(thread) for one that has to be opened again, and known().
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
   * Ask once more: another answer to a stored question, or a question that was not stored as if it were new. An answer
   * that was lost on its way is looked for instead.
   */
  again(turn) {
    if (turn.isLost) return this.#on.found(this.thread);
    return turn.inForce ? this.#run(turn) : this.ask(this.take(turn));
  }

  edit(turn, question) {
    if (turn.questions.last.uuid) turn.questions.add({ text: question });
    else turn.questions.set([...turn.questions.all.slice(0, -1), { text: question }]); // that one was never taken
    return this.#run(turn);
  }

  stop() {
    this.#current?.abort();
  }

  /** Leave, whatever is being answered; the server goes on with it. */
  clear() {
    forgetQuestion();
    this.#current?.abort();
    this.#current = null;
    this.turns = [];
    this.thread = "";
    this.#element.replaceChildren();
    this.#on.changed();
  }

  /**
   * Show a thread of the server, and the answer that is being written in it; gives its name, or null if another was
   * opened meanwhile. Throws a Problem.
   */
  open(thread) {
    const opening = this.#open(thread);
    this.opened = opening.catch(() => {});
    return opening;
  }

  async #open(thread) {
    const asked = keptQuestion(thread);
    this.clear();
    if (asked) keepQuestion(asked);
    this.thread = thread;
    const turns = this.turns;
    const { name, running, exchanges } = await readThread(thread);
    if (turns !== this.turns) return null;
    for (const exchange of exchanges) this.#add(exchange);
    this.#on.changed();
    const last = this.turns.at(-1);
    if (running) this.#rejoin(running);
    else if (last?.questions.last && !last.answers.last) last.finish({ sentence: words.unanswered, canRetry: true });
    if (!running) this.resume();
    return name;
  }

  /** Ask again what was on its way to this thread, "" for a new one, when the page was left. */
  resume() {
    const asked = !this.isBusy && keptQuestion(this.thread);
    if (!asked) return;
    const { input, mode, thread_uuid: thread } = asked.body;
    const last = mode && this.turns.at(-1);
    const turn = last || this.#add({ questions: [{ text: input }] });
    if (last && mode === "edit") turn.questions.add({ text: input });
    this.#run(turn, { ...asked, isInThread: Boolean(thread) });
  }

  /** Go on with an answer that is being written: where it is not a new version, it is the first one. */
  #rejoin(running) {
    const turn = this.turns.at(-1) ?? this.#add({ questions: [] });
    turn.showAsked();
    this.#run(turn, { turn: running });
  }

  /** Take away a turn that is not stored; gives its question. */
  take(turn) {
    this.turns.splice(this.turns.indexOf(turn), 1);
    turn.element.remove();
    this.#on.changed();
    return turn.question;
  }

  #add(exchange) {
    const turn = new Turn(exchange);
    this.turns.push(turn);
    this.#element.append(turn.element);
    return turn;
  }

  /** `asked` is what follow() takes. */
  async #run(turn, asked = { key: newKey(), body: this.#bodyOf(turn) }) {
    const known = this.#on.known();
    const { signal } = (this.#current = new AbortController());
    if (isStored && asked.key) keepQuestion(asked);
    else forgetQuestion();
    turn.begin();
    this.#on.began();
    const outcome = await this.#receive(turn, asked, signal);
    turn.finish(outcome);
    if (this.#current?.signal !== signal) return; // the reader has left
    this.#current = null;
    if (signal.aborted || outcome.isError || outcome.isFound) forgetQuestion();
    else forgetSoon(asked.key);
    if (outcome.isFound) return this.#on.found(this.thread);
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

  /** Put what comes into `turn`, and tell how it ended. */
  async #receive(turn, asked, signal) {
    let isBroken = false;
    try {
      for await (const event of follow(asked, signal)) {
        if (isBroken !== (event.type === "broken")) this.#showBreak(turn, (isBroken = !isBroken));
        if (event.type === "head" && asked.isInThread) return { isFound: true }; // maybe it is there already
        turn.identify(event);
        if (event.thread && asked.body?.thread_uuid) forgetQuestion(); // the thread tells now what runs in it
        this.#learn(event.thread);
        if (event.type === "text") turn.addText(event.text);
        if (event.type === "reasoning") turn.addThought(event.text);
        if (event.type === "cancelled") return { sentence: event.detail || words.stopped, canRetry: true };
        if (event.type === "end" && event.reason === "length") return { sentence: words.cut };
      }
      return {};
    } catch (error) {
      if (signal.aborted) return { sentence: words.stopped, canRetry: true };
      if (!(error instanceof Problem)) throw error;
      turn.identify(error);
      this.#learn(error.thread);
      const isLost = Boolean(error.turn);
      const isRefused = !isLost && error.status < 500; // before anything was stored
      const { status, retryable } = error;
      return { sentence: explain(error), isError: true, canRetry: retryable, status, isRefused, isLost };
    }
  }

  #showBreak(turn, isBroken) {
    turn.showBreak(isBroken);
    this.#on.broke(isBroken);
  }

  #learn(thread) {
    if (!isStored || !thread || this.thread) return;
    this.thread = thread;
    this.#on.joined(thread);
  }

  /**
   * Learn what the server has stored of the last turn, where it did not say so itself. `known` are the threads that
   * there were before it; `isStopped`, whether it has yet to be cancelled.
   */
  async #settle(turn, known, isStopped) {
    const turns = this.turns;
    const isLeft = () => turns !== this.turns || turns.at(-1) !== turn || this.isBusy;
    for (const pause of SOON) {
      if (pause) await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
      if (isLeft()) return;
      try {
        const thread = this.thread || (await findThread(turn.question, known));
        if (thread && isStopped) await cancelTurn(thread);
        isStopped &&= !thread;
        const exchange = thread && (await readThread(thread)).exchanges.at(-1);
        if (isLeft()) return;
        this.#learn(thread);
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
