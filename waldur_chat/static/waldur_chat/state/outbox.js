// The question that was sent, but is not yet in a thread of the URL: a reload sends it again, with the same idempotency
// key, so that it leads to the same turn whether or not it had arrived.

import { storage } from "./session.js";

const NAME = "waldur-chat-question";
const MAX_AGE = 600_000; // milliseconds; nobody waits for an older question any more
const RELOAD_TIME = 3000; // milliseconds; a reload that has already begun uses the URL from before

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID() is there with https only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Save a question {key, body} while it is being sent. */
export function saveQuestion({ key, body }) {
  storage().setItem(NAME, JSON.stringify({ key, body, at: Date.now() }));
}

export function removeQuestion() {
  storage().removeItem(NAME);
}

/** Remove the question with this key once a reload that has already begun would be over. */
export function removeQuestionSoon(key) {
  setTimeout(() => key === read().key && removeQuestion(), RELOAD_TIME);
}

/** The saved question of this thread, "" for a new one; null if there is none. */
export function savedQuestion(thread) {
  const { key, body, at } = read();
  const isOfThread = key && (body.thread_uuid ?? "") === thread && Date.now() - at < MAX_AGE;
  return isOfThread ? { key, body } : null;
}

function read() {
  return JSON.parse(storage().getItem(NAME) ?? "{}");
}
