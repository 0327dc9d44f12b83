// What is sent to the chat API and what comes back: events while all is well, one Problem when it is not.

import { EventParser } from "./sse.js";

/** Why there is no (whole) answer. `kind` names our own sentence; `detail` is the server's, which comes first. */
export class Problem extends Error {
  constructor(kind, { detail, status, seconds, retryable } = {}) {
    super(kind);
    Object.assign(this, { kind, status, seconds, retryable: retryable !== false });
    this.detail = typeof detail === "string" ? detail : "";
  }
}

/** Characters as the server counts them: an emoji is one, though JavaScript's `length` says two. */
export function countCharacters(text) {
  let pairs = 0;
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) pairs += 1;
  return text.length - pairs;
}

/** The question, after as many of the latest exchanges {question, answer} as fit: the API itself remembers nothing. */
export function buildInput(exchanges, question, maxLength) {
  let input = `User: ${question}`;
  let room = maxLength - countCharacters(input);
  let told = false;
  for (const exchange of exchanges.filter(({ answer }) => answer).reverse()) {
    const part = `User: ${exchange.question}\n\nAssistant: ${exchange.answer}\n\n`;
    room -= countCharacters(part);
    if (room < 0) break;
    input = part + input;
    told = true;
  }
  return told ? input : question;
}

/**
 * Ask, and yield {type: "text" | "reasoning", text} as they come, then one {type: "end", reason} or
 * {type: "cancelled", detail}. Throws a Problem, or an AbortError once `signal` is aborted.
 */
export async function* ask(url, input, credentials, signal) {
  const response = await post(url, input, credentials, signal);
  const parser = new EventParser();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => ({ done: true, error }));
      signal.throwIfAborted();
      if (done) throw new Problem("lost");
      for (const sent of parser.feed(value)) {
        const event = understand(sent);
        if (event) yield event;
        if (event?.type === "end" || event?.type === "cancelled") return;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever leaves early hangs up
  }
}

async function post(url, input, { token, csrfHeader, csrfToken }, signal) {
  const headers = { Accept: "text/event-stream", "Content-Type": "application/json" };
  if (token) headers.Authorization = `Token ${token}`;
  else headers[csrfHeader] = csrfToken;
  const options = { method: "POST", headers, body: JSON.stringify({ input }), signal };
  options.credentials = token ? "omit" : "same-origin"; // a token says who asks; a session must not outvote it
  const response = await fetch(url, options).catch((error) => {
    throw signal.aborted ? error : new Problem("unreachable");
  });
  if (!response.ok) throw await refusal(response);
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("text/event-stream")) throw new Problem("unreadable");
  return response;
}

async function refusal(response) {
  const body = (await response.json().catch(() => null)) ?? {};
  const detail = body.detail ?? [body.input].flat().filter((text) => typeof text === "string").join(" ");
  const seconds = secondsUntil(response.headers.get("Retry-After"));
  return new Problem("refused", { detail, status: response.status, seconds, retryable: body.retryable });
}

function secondsUntil(retryAfter) {
  if (!retryAfter) return undefined;
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return seconds > 0 ? Math.ceil(seconds) : undefined;
}

function understand({ type, data }) {
  const body = parseObject(data);
  if (type === "message") return { type: "text", text: String(body.c ?? "") };
  if (type === "reasoning") return { type, text: String(body.reasoning ?? "") };
  if (type === "end") return { type, reason: body.finish_reason };
  if (type === "cancelled") return { type, detail: new Problem(type, body).detail };
  if (type === "error") throw new Problem("failed", body);
  return null; // "start", and what later versions may add
}

function parseObject(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    throw new Problem("unreadable");
  }
}
