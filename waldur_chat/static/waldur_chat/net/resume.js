// Receives an answer over several connections: if one breaks, the next resumes at the same character.

import { readEvents } from "./api.js";
import { Problem } from "./problems.js";
import { isStored } from "./store.js";

const page = document.body.dataset;
const FIRST_DELAY = 1000; // milliseconds before resuming, unless the stream says otherwise
const MAX_DELAY = 15_000;
const MAX_RETRIES = 12; // in a row without a new event, which is about two minutes
const MAX_RETRIES_UNSENT = 2; // the same for a question that may not have arrived

/**
 * Yield the events of an answer as readEvents() does: of the question {key, body, url?}, or of the existing {turn}. Between
 * two connections, yield {type: "broken"}. Throws a Problem, with its `turn` if that may continue on the server.
 */
export async function* receiveAnswer(asked, signal) {
  const position = { turn: asked.turn ?? "", id: "", retry: FIRST_DELAY };
  for (let retries = 0; ; retries += 1) {
    try {
      for await (const event of connect(asked, position, signal)) {
        if (event.type === "head" && event.thread && isStored) position.turn = event.turn ?? "";
        if (event.id && event.id !== position.id) retries = 0;
        position.id = event.id || position.id;
        position.retry = event.retry ?? position.retry;
        yield event;
      }
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.kind === "failed") throw error;
      const isOver = retries >= (position.turn ? MAX_RETRIES : MAX_RETRIES_UNSENT);
      if (isOver || !isTransient(error, position)) throw Object.assign(error, { turn: position.turn });
      yield { type: "broken" };
      await pause(Math.max(1000 * (error.seconds ?? 0), backOff(position.retry, retries)), signal);
    }
  }
}

function connect({ key, body, url = page.streamUrl }, { turn, id }, signal) {
  if (!turn) return readEvents("POST", url, { body, headers: { "Idempotency-Key": key }, signal });
  const headers = id ? { "Last-Event-ID": id } : {};
  return readEvents("GET", page.eventsUrl.replace("TURN", turn), { headers, signal });
}

/** Whether a retry may succeed, of the answer or of the same question. */
function isTransient({ kind, status }, { turn }) {
  if (!turn) return kind === "unreachable" && isStored;
  return kind === "lost" || kind === "unreachable" || status === 429 || status >= 500;
}

/** Milliseconds: exponential, with jitter for the clients of a server that stops. */
function backOff(retry, retries) {
  return Math.min(retry * 2 ** retries, MAX_DELAY) * (1 + Math.random() / 4);
}

/** Wait, at most until the network is back. Throws an AbortError once `signal` is aborted. */
async function pause(milliseconds, signal) {
  const over = new AbortController();
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    addEventListener("online", resolve, { signal: over.signal });
    signal.addEventListener("abort", resolve, { signal: over.signal });
  });
  over.abort();
  signal.throwIfAborted();
}
