// One connection to the chat API, and the events that arrive over it.

import { send } from "./http.js";
import { Problem } from "./problems.js";
import { EventParser } from "./sse.js";

/**
 * Send a request, and yield {type: "head", turn, thread}, the UUIDs of stored ones; {type: "start", thread};
 * {type: "text" | "reasoning", text} as they arrive; then one {type: "end", reason} or {type: "cancelled", detail}. All
 * but the head have the `id` from which to resume, the delay before that in `retry`, and maybe the UUIDs of the stored
 * messages, `question` and `answer`. Throws a Problem, or an AbortError once `signal` is aborted.
 */
export async function* readEvents(method, url, { body, headers, signal }) {
  const response = await send(method, url, { body, headers, signal, accept: "text/event-stream" });
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("text/event-stream")) throw new Problem("unreadable");
  yield { type: "head", turn: response.headers.get("X-Chat-Turn"), thread: response.headers.get("X-Chat-Thread") };
  const parser = new EventParser();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => ({ done: true, error }));
      signal.throwIfAborted();
      if (done) throw new Problem("lost");
      for (const sent of parser.feed(value)) {
        const event = parseEvent(sent);
        if (event) yield { ...event, id: sent.id, retry: parser.retry };
        if (event?.type === "end" || event?.type === "cancelled") return;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // close the connection if the consumer stops early
  }
}

function parseEvent({ type, data }) {
  const body = parseObject(data);
  const kept = { question: body.user_message_uuid, answer: body.assistant_message_uuid };
  if (type === "message") return { type: "text", text: String(body.c ?? "") };
  if (type === "reasoning") return { type, text: String(body.reasoning ?? "") };
  if (type === "start") return { type, thread: body.thread_uuid, ...kept };
  if (type === "end") return { type, reason: body.finish_reason, ...kept };
  if (type === "cancelled") return { type, detail: new Problem(type, body).detail, ...kept };
  if (type === "error") throw new Problem("failed", body);
  return null; // events of later versions
}

function parseObject(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    throw new Problem("unreadable");
  }
}
