// The API of stored conversations.

import { callsOf } from "./calls.js";
import { receive, send } from "./http.js";

const page = document.body.dataset;
const PAGE_SIZE = 50;

/** Whether the server stores conversations; if not, they exist on this page only. */
export const isStored = "threadsUrl" in page;

/** The user's threads {uuid, name, message_count}, the last used first, and whether there are more. */
export async function listThreads({ isArchived = false, query = "", number = 1 } = {}) {
  const asked = { is_archived: isArchived, o: "-modified", page_size: PAGE_SIZE, page: number };
  return list(query ? { ...asked, query } : asked);
}

async function list(asked) {
  const query = new URLSearchParams({ scope: "own", ...asked });
  for (const field of ["uuid", "name", "message_count"]) query.append("field", field);
  const { body, links } = await receive(`${page.threadsUrl}?${query}`);
  return { threads: body, hasMore: /rel="?next\b/.test(links) };
}

/**
 * The name of a thread, the UUID of its `running` turn or null, and its exchanges {questions, answers}: all versions
 * of each, the current one last.
 */
export async function readThread(uuid) {
  const query = new URLSearchParams({ thread: uuid, include_history: true });
  const { name, running_turn: running } = (await receive(`${page.threadsUrl}${uuid}/`)).body;
  // After the thread: if its turn has ended by then, its answer is among these.
  const messages = await receive(`${page.messagesUrl}?${query}`);
  return { name, running, exchanges: exchangesOf(messages.body) };
}

/** The text of the first message of a thread. */
export async function readFirstQuestion(uuid) {
  const messages = await receive(`${page.messagesUrl}?${new URLSearchParams({ thread: uuid })}`);
  return messages.body[0]?.content ?? "";
}

function exchangesOf(messages) {
  const exchanges = [];
  for (const message of messages) {
    const side = message.role === "user" ? "questions" : "answers";
    const last = exchanges.at(-1);
    const isVersion = last?.[side].at(-1)?.index === message.sequence_index;
    const isAnswer = side === "answers" && last?.answers.length === 0;
    if (!isVersion && !isAnswer) exchanges.push({ questions: [], answers: [] });
    exchanges.at(-1)[side].push(versionOf(message));
  }
  return exchanges;
}

function versionOf(message) {
  return {
    uuid: message.uuid,
    index: message.sequence_index,
    text: message.content,
    calls: callsOf(message),
    end: { status: message.status ?? "complete", code: message.code ?? "" },
    warning: message.warning ?? "",
    created: Date.parse(message.created),
    score: message.feedback_score,
    comment: message.feedback_comment ?? "",
    category: message.feedback_category ?? "",
  };
}

/** The UUID of the new thread that this question began, not one of `known`; "" if there is none. */
export async function findThread(question, known) {
  const { threads } = await list({ o: "-created", page_size: 3 });
  for (const { uuid } of threads.filter((thread) => !known.has(thread.uuid))) {
    const { exchanges } = await readThread(uuid);
    if (exchanges[0]?.questions.at(-1)?.text === question) return uuid;
  }
  return "";
}

export function renameThread(uuid, name) {
  return send("PATCH", `${page.threadsUrl}${uuid}/`, { body: { name } });
}

export function archiveThread(uuid, isArchived) {
  return send("POST", `${page.threadsUrl}${uuid}/${isArchived ? "archive" : "unarchive"}/`);
}

export function deleteThread(uuid) {
  return send("DELETE", `${page.threadsUrl}${uuid}/`);
}

/** Cancel the running turn of a thread, whichever process runs it. */
export function cancelTurn(thread) {
  return send("POST", `${page.threadsUrl}${thread}/cancel/`);
}

/** Rate an answer: {score, category?, comment?}. */
export function rateMessage(uuid, feedback) {
  return send("POST", `${page.messagesUrl}${uuid}/feedback/`, { body: feedback });
}

export async function readUsage() {
  return (await receive(page.usageUrl)).body;
}
