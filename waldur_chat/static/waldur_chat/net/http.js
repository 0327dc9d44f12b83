// One request to the API, authenticated by token or session.

import { Problem } from "./problems.js";
import { currentToken } from "../state/token.js";

const page = document.body.dataset;

/** Send a request; the response is successful. Throws a Problem, or an AbortError once `signal` is aborted. */
export async function send(method, url, { body, signal, headers: given, accept = "application/json" } = {}) {
  const token = currentToken();
  const headers = { Accept: accept, ...given };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Token ${token}`;
  else if (method !== "GET") headers[page.csrfHeader] = page.csrfToken;
  const credentials = token ? "omit" : "same-origin"; // a token identifies the user; a session must not override it
  const options = { method, headers, body: body && JSON.stringify(body), signal, credentials };
  const response = await fetch(url, options).catch((error) => {
    throw signal?.aborted ? error : new Problem("unreachable");
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** GET `url`; the body is parsed as JSON. */
export async function receive(url) {
  const response = await send("GET", url);
  const body = await response.json().catch(() => null);
  if (body === null) throw new Problem("unreadable");
  return { body, links: response.headers.get("Link") ?? "" };
}

async function refusal(response) {
  const body = Object((await response.json().catch(() => null)) ?? {});
  const fields = ["input", "name", "comment"].flatMap((field) => body[field] ?? []);
  const detail = body.detail ?? fields.filter((text) => typeof text === "string").join(" ");
  const seconds = secondsUntil(body.retry_after ?? response.headers.get("Retry-After"));
  const thread = response.headers.get("X-Chat-Thread"); // the question may be stored although it was refused
  return new Problem("refused", { ...body, detail, status: response.status, seconds, thread });
}

function secondsUntil(retryAfter) {
  if (!retryAfter) return undefined;
  const seconds = /^[\d.]+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return seconds > 0 ? Math.ceil(seconds) : undefined;
}
