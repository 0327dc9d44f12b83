// The question that is on its way: until the address names the thread in which it is answered, a reload asks it again.
// It does so with the same key, which leads to the same answer, however often and whether or not it had arrived.

import { storage } from "./session.js";

const NAME = "waldur-chat-question";
const KEPT = 600_000; // milliseconds; what is found later, nobody waits for any more
const RELOADING = 3000; // milliseconds in which a reload that has begun leads to the address as it was when it began

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID() is there with https only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Keep a question {key, body} while it is on its way. */
export function keepQuestion({ key, body }) {
  storage().setItem(NAME, JSON.stringify({ key, body, at: Date.now() }));
}

export function forgetQuestion() {
  storage().removeItem(NAME);
}

/** Forget the question with this key, but not for a reload that has begun. */
export function forgetSoon(key) {
  setTimeout(() => key === read().key && forgetQuestion(), RELOADING);
}

/** The question on its way to this thread, "" for a new one; null if there is none. */
export function keptQuestion(thread) {
  const { key, body, at } = read();
  const isMeant = key && (body.thread_uuid ?? "") === thread && Date.now() - at < KEPT;
  return isMeant ? { key, body } : null;
}

function read() {
  return JSON.parse(storage().getItem(NAME) ?? "{}");
}
