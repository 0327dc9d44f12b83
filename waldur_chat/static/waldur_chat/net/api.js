// One connection to the chat API, and the events that arrive over it.

import { callOfEvent } from "./calls.js";
import { send } from "./http.js";
import { Problem } from "./problems.js";
import { EventParser } from "./sse.js";

const STATUS = { length: "length", content_filter: "filtered" }; // by reason, of servers that do not say it

/**
 * Send a request, and yield {type: "head", turn, thread}, the UUIDs of stored ones; {type: "start", thread};
 * {type: "text" | "reasoning" | "warning", text} and {type: "call", call} as they arrive; then one {type: "end", status}, as messages have it. All
 * but the head have the `id` from which to resume, the delay before that in `retry`, and maybe the UUIDs of the stored
 * messages, `question` and `answer`. Instead of all this {type: "row", row} for JSON. Throws a Problem, or an AbortError once `signal` is aborted.
 */
export async function* readEvents(method, url, { body, headers, signal }) {
  const response = await send(method, url, { body, headers, signal, accept: "text/event-stream" });
  const type = response.headers.get("Content-Type") ?? "";
  if (type.startsWith("application/json")) return yield { type: "row", row: await response.json() };
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
        if (event?.type === "end") return;
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
  if (type === "warning") return { type, text: String(body.warning ?? "") };
  if (type === "tool_call" || type === "tool_result") return { type: "call", ...callOfEvent(type, body) };
  if (type === "end") return { type, status: body.status ?? STATUS[body.finish_reason] ?? "complete", ...kept };
  if (type === "cancelled") return { type: "end", status: "stopped", ...kept };
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
