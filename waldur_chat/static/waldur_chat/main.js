// The chat page: what the reader does (ask, stop, start anew, open a thread, give a token) and what comes of it.

import { act } from "./ui/message_actions.js";
import { putIntoAddress, threadInAddress } from "./state/address.js";
import { box, onEnter, setBox } from "./ui/composer.js";
import { showBudget } from "./ui/budget.js";
import { Conversation } from "./conversation.js";
import { sidePanel } from "./ui/side_panel.js";
import { countCharacters } from "./state/client_history.js";
import { explain, Problem } from "./net/problems.js";
import { isStored } from "./net/store.js";
import { ThreadList } from "./ui/threads.js";
import { adoptToken, currentToken, keepToken } from "./state/token.js";
import { followEnd } from "./ui/transcript.js";
import { announce, fill, say, words } from "./ui/i18n.js";

const $ = (id) => document.getElementById(id);
const page = document.body.dataset;
const title = document.title;
const NAMED_AFTER = 5000; // milliseconds after which a new thread has probably got its name
const scrollToEnd = followEnd($("latest"));
const conversation = new Conversation($("transcript"), {
  began: showBeginning,
  ended: showEnd,
  changed: showState,
  broke: (isBroken) => announce(isBroken ? words.reconnecting : ""),
  found: openThread,
  joined: showNewThread,
  known: () => threads?.known,
});
const closePanel = isStored ? sidePanel() : () => {};
const threads = isStored && new ThreadList({ deleted: leaveDeleted, named: showName, refused: askIfNeeded });

let refused = null; // the turn for which a token is asked

// Asking

async function send() {
  await conversation.opened;
  const question = box.value.trim();
  if (question === "") return box.focus();
  if (!check(question)) return;
  setBox("");
  box.focus();
  return conversation.ask(question);
}

/** Whether this can be asked now; says why not. */
function check(question) {
  const excess = countCharacters(question) - Number(page.maxLength);
  if (conversation.isBusy) say(words.busy);
  else if (excess > 0) say(fill(words.long, { count: excess }));
  return !conversation.isBusy && excess <= 0;
}

function showBeginning() {
  scrollToEnd();
  showState();
  say("");
}

function showEnd(turn, { sentence, status }) {
  if (document.activeElement === $("stop")) box.focus();
  showState();
  announce(sentence || words.complete);
  refused = [401, 403].includes(status) ? turn : null;
  if (refused) askForToken(status);
  else showAccount();
}

function stop() {
  conversation.stop();
  box.focus();
}

function startAnew() {
  putIntoAddress("", { isNewEntry: true });
  closePanel();
  begin();
}

function begin() {
  conversation.clear();
  showAccount();
  say("");
  announce(words.cleared);
  box.focus();
}

// Threads

/** Show what the address names. */
function openAddressed() {
  const thread = threadInAddress();
  closePanel();
  if (thread === conversation.thread) return;
  return thread ? openThread(thread) : begin();
}

async function openThread(thread) {
  say("");
  $("failure").hidden = true;
  try {
    const name = await conversation.open(thread);
    if (name === null) return;
    scrollToEnd();
    announce(fill(words.opened, { name }));
    showName(thread, name);
    box.focus();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (thread === conversation.thread) showFailure(error);
  }
}

function showFailure(error) {
  if (error.status === 404) {
    putIntoAddress("");
    conversation.clear();
    return say(words.gone);
  }
  $("failure").hidden = false;
  $("failure").querySelector("p").textContent = explain(error);
  askIfNeeded(error.status);
}

function showNewThread(thread) {
  putIntoAddress(thread);
  showState();
  threads.refresh();
}

function leaveDeleted(thread) {
  if (thread !== conversation.thread) return;
  putIntoAddress("");
  conversation.clear();
}

/** What of the reader's account may have changed: the list of threads, and what is left to use. */
async function showAccount() {
  if (!isStored || !canAsk()) return;
  showBudget();
  await threads.refresh();
  if (threads.isUnnamed(conversation.thread)) nameSoon();
}

function nameSoon() {
  clearTimeout(nameSoon.waiting);
  nameSoon.waiting = setTimeout(() => threads.refresh(), NAMED_AFTER);
}

function showName(thread, name) {
  if (thread === conversation.thread) document.title = `${name} · ${title}`;
}

// Showing

function showState() {
  const { turns, thread, isBusy } = conversation;
  $("welcome").hidden = turns.length > 0 || thread !== "";
  $("failure").hidden ||= thread === "";
  $("send").hidden = isBusy;
  $("stop").hidden = !isBusy;
  $("new").disabled = turns.length === 0 && thread === "";
  $("other-token").hidden = currentToken() === "";
  $("other-token").setAttribute("aria-expanded", !$("token-form").hidden);
  if (!isStored) return;
  if (!thread) document.title = title;
  threads.mark(thread);
}

// Tokens

function canAsk() {
  return currentToken() !== "" || page.session === "true";
}

function askIfNeeded(status) {
  if (status === 401) askForToken(status);
}

function askForToken(status) {
  if (status === 401) keepToken("");
  $("token-form").hidden = false;
  $("token-reason").textContent = words.token;
  showState();
  if (box.value === "") $("token").focus();
}

function useToken() {
  keepToken($("token").value);
  $("token").value = "";
  if (currentToken() === "") return $("token").focus();
  signIn();
  if (refused && refused === conversation.turns.at(-1)) conversation.again(refused);
  else box.focus();
}

/** Show what a token, or a session, makes available. */
function signIn() {
  $("token-form").hidden = canAsk();
  showState();
  if (!isStored || !canAsk()) return;
  showAccount();
  if ($("failure").hidden) openAddressed();
  else openThread(conversation.thread);
  if (conversation.thread === "") conversation.resume();
}

// Wiring

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken();
});
$("stop").addEventListener("click", ({ detail }) => {
  if (detail < 2) stop(); // the second half of a double click was meant for Send, which stood here before
});
$("new").addEventListener("click", startAnew);
$("reopen").addEventListener("click", () => openThread(conversation.thread));
$("other-token").addEventListener("click", () => {
  $("token-form").hidden = !$("token-form").hidden;
  showState();
  if (!$("token-form").hidden) $("token").focus();
});
$("transcript").addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-act]");
  if (button) act(button, conversation, check);
});
box.addEventListener("input", () => say(""));
onEnter(send);
addEventListener("keydown", (event) => {
  const isForOther = event.defaultPrevented || event.isComposing || event.target.closest?.("dialog");
  if (event.key === "Escape" && conversation.isBusy && !isForOther) stop();
});
addEventListener("hashchange", () => {
  if (adoptToken()) {
    putIntoAddress(conversation.thread);
    signIn();
  } else if (isStored) openAddressed();
});

adoptToken();
signIn();
setBox(box.value); // what the browser has kept
box.focus();
