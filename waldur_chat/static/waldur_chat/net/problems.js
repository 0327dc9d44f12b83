// Errors between the page and the server.

/** No answer, or an incomplete one. `kind` selects our own sentence; the server's `detail` takes precedence over it. */
export class Problem extends Error {
  constructor(kind, { detail, status, code, seconds, retryable, thread, ...kept } = {}) {
    super(kind);
    Object.assign(this, { kind, status, code: String(code ?? ""), seconds, thread });
    this.retryable = typeof retryable === "boolean" ? retryable : undefined; // it was not said
    this.detail = typeof detail === "string" ? detail : "";
    this.question = kept.user_message_uuid; // what the server has stored of the failed turn
    this.answer = kept.assistant_message_uuid;
  }
}
