// An answer over as many connections as it takes: where one breaks, the next goes on with exactly the rest.

import { read } from "./api.js";
import { Problem } from "./problems.js";
import { isStored } from "./store.js";

const page = document.body.dataset;
const RETRY = 1000; // milliseconds before coming back, unless the stream says otherwise
const LONGEST = 15_000;
const TIMES = 12; // in a row without anything new, which is about two minutes
const TIMES_UNHEARD = 2; // ... for a question of which nobody knows whether it has arrived

/**
 * The events of an answer, see read(): to the question {key, body}, or of the {turn} that has begun already. Between
 * two connections comes {type: "broken"}. Throws a Problem, with the `turn` that may go on without us if there is one.
 */
export async function* follow(asked, signal) {
  const place = { turn: asked.turn ?? "", id: "", retry: RETRY };
  for (let times = 0; ; times += 1) {
    try {
      for await (const event of connect(asked, place, signal)) {
        if (event.type === "head" && event.thread && isStored) place.turn = event.turn ?? "";
        if (event.id && event.id !== place.id) times = 0;
        place.id = event.id || place.id;
        place.retry = event.retry ?? place.retry;
        yield event;
      }
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.kind === "failed") throw error;
      const isOver = times >= (place.turn ? TIMES : TIMES_UNHEARD);
      if (isOver || !isPassing(error, place)) throw Object.assign(error, { turn: place.turn });
      yield { type: "broken" };
      await pause(Math.max(1000 * (error.seconds ?? 0), backOff(place.retry, times)), signal);
    }
  }
}

function connect({ key, body }, { turn, id }, signal) {
  if (!turn) return read("POST", page.streamUrl, { body, headers: { "Idempotency-Key": key }, signal });
  const headers = id ? { "Last-Event-ID": id } : {};
  return read("GET", page.eventsUrl.replace("TURN", turn), { headers, signal });
}

/** Whether it can help to come back, to the answer or with the same question. */
function isPassing({ kind, status }, { turn }) {
  if (!turn) return kind === "unreachable" && isStored;
  return kind === "lost" || kind === "unreachable" || status === 429 || status >= 500;
}

/** Milliseconds, longer each time, and not the same for all who lost the same server. */
function backOff(retry, times) {
  return Math.min(retry * 2 ** times, LONGEST) * (1 + Math.random() / 4);
}

/** Wait, but not longer than until the network is back. Throws an AbortError once `signal` is aborted. */
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
