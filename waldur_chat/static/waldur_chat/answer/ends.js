// How answers end, in words: the same when it happens and after a reload.
// An end is {status, code}, as messages have it, and what only that moment knows: the server's `sentence`, `retryable`.

import { explain } from "../ui/explain.js";
import { errors, strings } from "../ui/i18n.js";

export const COMPLETE = { status: "complete" };
export const STOPPED = { status: "stopped" };
export const UNANSWERED = { status: "unanswered" };

/** The end of a question with this Problem; `isRefused` says that it is not stored. */
export function endOf(problem, isRefused) {
  const { code, status } = problem;
  if (code === "cancelled") return STOPPED;
  const canGoAgain = isRefused && status !== 422 ? true : undefined; // what the model refuses it would refuse again
  const retryable = problem.retryable ?? canGoAgain;
  return { status: code === "interrupted" ? code : "failed", code, sentence: explain(problem), retryable };
}

const ENDINGS = ["stopped", "length", "filtered", "unanswered"]; // with a sentence of their own

export function isSame(one, other) {
  return one.status === other.status && (one.code ?? "") === (other.code ?? "");
}

/** The `sentence` about an end, "" if there is nothing to say; whether it is an error; whether to offer another try. */
export function describe({ status, code, sentence, retryable }) {
  const isError = status === "failed" || status === "interrupted";
  const error = isError ? errors[code] : undefined;
  return {
    sentence: isError ? sentence || error?.sentence || strings.failed : ENDINGS.includes(status) ? strings[status] : "",
    isError,
    canRetry: retryable ?? error?.isRetryable ?? true,
  };
}
