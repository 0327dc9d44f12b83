// Calls of tools as the page has them: {uuid, tool, arguments, origins, approval, expires, outcome, summary, block, at}.
// `outcome` is "" until the call has ended, `approval` is "needed" while it waits for the user until `expires`, in
// milliseconds, and `origins` then says where each argument comes from, as the server has it; `block` is what to show of the result, or null; `at` is how much of the text stands before the call.

import { receive } from "./http.js";

const page = document.body.dataset;

/** What a `tool_call` or a `tool_result` says of a call; `isNew` says which one it is. */
export function callOfEvent(type, body) {
  const { call_uuid: uuid, tool } = body;
  if (type === "tool_call") return { isNew: true, call: { uuid, tool, ...waiting(body), ...given(body) } };
  const { outcome, summary = "", block = null } = body;
  return { isNew: false, call: { uuid, tool, ...waiting({}), outcome, summary, block } };
}

/** The calls of a stored message, in their order. */
export function callsOf({ blocks, content }) {
  return (blocks ?? []).filter(({ key }) => key === "tool").map((block) => callOfBlock(block, content));
}

function callOfBlock({ position, tool, result }, content) {
  return {
    uuid: tool.call_uuid,
    tool: tool.name,
    ...given(tool),
    ...waiting(tool),
    outcome: tool.outcome ?? (tool.approval ? "" : "unknown"),
    summary: tool.summary ?? "",
    block: result?.key === "markdown" && !result.content ? null : result,
    at: [...content].slice(0, position ?? Infinity).join("").length, // positions count characters, not UTF-16 units
  };
}

function given({ arguments: values, origins }) {
  return { arguments: values ?? {}, origins: origins ?? {} };
}

function waiting({ approval, expires }) {
  return { approval: approval ?? "", expires: expires ? Date.parse(expires) : null };
}

/** What a decision says of a call, if others of the same answer still wait for theirs. */
export function callOfRow({ status }) {
  return { approval: status === "approved" ? status : "", outcome: status === "approved" ? "" : status };
}

/** What a tool is called for people. */
export function nameOf({ tool }) {
  return String(tool).replaceAll("_", " ");
}

/** Whether the server tells more of calls, and lets users decide on them. */
export const hasCalls = "callsUrl" in page;

/** What the model was told of a call. */
export async function readResult(uuid) {
  return (await receive(`${page.callsUrl}${uuid}/`)).body.result ?? "";
}
