// The chat page: handles what the user does (ask, stop, start anew, open a thread, enter a token).

import { onForm } from "./answer/question_form.js";
import { Conversation } from "./conversation.js";
import { Problem } from "./net/problems.js";
import { isStored } from "./net/store.js";
import { putIntoAddress, threadInAddress } from "./state/address.js";
import { countCharacters } from "./state/client_history.js";
import { adoptToken, currentToken, keepToken } from "./state/token.js";
import { showBudget } from "./ui/budget.js";
import { composer, onEnter, setText } from "./ui/composer.js";
import { describe } from "./answer/ends.js";
import { explain } from "./ui/explain.js";
import { followEnd } from "./ui/follow_end.js";
import { announce, format, showNotice, strings } from "./ui/i18n.js";
import { runAction } from "./ui/message_actions.js";
import { sidePanel } from "./ui/side_panel.js";
import { ThreadList } from "./ui/threads.js";

const $ = (id) => document.getElementById(id);
const page = document.body.dataset;
const title = document.title;
const NAMED_AFTER = 5000; // milliseconds after which a new thread probably has its title
const scrollToEnd = followEnd($("latest"));
const conversation = new Conversation($("transcript"), {
  began: showBeginning,
  ended: showEnd,
  changed: showState,
  broke: (isBroken) => announce(isBroken ? strings.reconnecting : ""),
  found: openThread,
  joined: showNewThread,
  known: () => threads?.known,
});
const closePanel = isStored ? sidePanel() : () => {};
const threads = isStored && new ThreadList({ deleted: leaveDeleted, named: showName, refused: askIfNeeded });

let refused = null; // the turn that was refused for want of a token

// Asking

async function send() {
  await conversation.opened;
  const question = composer.value.trim();
  if (question === "") return composer.focus();
  if (!check(question)) return;
  setText("");
  composer.focus();
  return conversation.ask(question);
}

/** Whether this question can be sent now; shows why not. */
function check(question) {
  const excess = countCharacters(question) - Number(page.maxLength);
  if (conversation.isBusy) showNotice(strings.busy);
  else if (excess > 0) showNotice(format(strings.long, { count: excess }));
  return !conversation.isBusy && excess <= 0;
}

function showBeginning() {
  scrollToEnd();
  showState();
  showNotice("");
}

function showEnd(turn, { end, problem }) {
  if (document.activeElement === $("stop")) composer.focus();
  showState();
  const sentence = describe(end).sentence || (turn.needsUser ? strings.asks : strings.complete);
  announce([turn.answers.last?.warning, sentence].filter(Boolean).join(" "));
  refused = [401, 403].includes(problem?.status) ? turn : null;
  if (refused) askForToken(problem);
  else showAccount();
}

function stop() {
  conversation.stop();
  composer.focus();
}

function startAnew() {
  putIntoAddress("", { isNewEntry: true });
  closePanel();
  begin();
}

function begin() {
  conversation.clear();
  showAccount();
  showNotice("");
  announce(strings.cleared);
  composer.focus();
}

// Threads

/** Open the thread that the URL names. */
function openAddressed() {
  const thread = threadInAddress();
  closePanel();
  if (thread === conversation.thread) return;
  return thread ? openThread(thread) : begin();
}

async function openThread(thread) {
  showNotice("");
  $("failure").hidden = true;
  try {
    const name = await conversation.open(thread);
    if (name === null) return;
    scrollToEnd();
    announce(format(strings.opened, { name }));
    showName(thread, name);
    composer.focus();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (thread === conversation.thread) showFailure(error);
  }
}

function showFailure(error) {
  if (error.status === 404) {
    putIntoAddress("");
    conversation.clear();
    return showNotice(strings.gone);
  }
  $("failure").hidden = false;
  $("failure").querySelector("p").textContent = explain(error);
  askIfNeeded(error);
}

function showNewThread(thread) {
  putIntoAddress(thread);
  showState();
  threads.noteQuestion(thread, conversation.turns[0]?.question ?? "");
  threads.refresh();
}

function leaveDeleted(thread) {
  if (thread !== conversation.thread) return;
  putIntoAddress("");
  conversation.clear();
}

/** Update what a turn may have changed: the list of threads, and the budget. */
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
  if (thread === conversation.thread) showTitle(name);
}

/** Name the tab, and the conversation where it is printed, which without a name is called like the page. */
function showTitle(name) {
  document.title = name ? `${name} · ${title}` : title;
  $("printed-title").textContent = name || title;
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
  if (!thread) showTitle("");
  threads.mark(thread);
}

// Tokens

function canAsk() {
  return currentToken() !== "" || page.session === "true";
}

/** A token that was refused is asked for again; so is one that may not chat, which a session is not. */
function askIfNeeded(error) {
  if (error.status === 401 || (error.status === 403 && currentToken() !== "")) askForToken(error);
}

function askForToken(error) {
  if (error.status === 401) keepToken("");
  closePanel(); // the form lies behind it
  $("token-form").hidden = false;
  showTokenReason(`${explain(error)} ${strings.token}`);
  showState();
  if (composer.value === "") $("token").focus();
}

/** Say what was wrong with the token, where it is typed; nothing if `sentence` is empty. */
function showTokenReason(sentence) {
  $("token-reason").textContent = sentence;
  if (sentence) $("token").setAttribute("aria-invalid", "true");
  else $("token").removeAttribute("aria-invalid");
}

function useToken() {
  keepToken($("token").value);
  $("token").value = "";
  showTokenReason(currentToken() === "" ? strings["bad-token"] : "");
  if (currentToken() === "") return $("token").focus();
  signIn();
  if (refused && refused === conversation.turns.at(-1)) conversation.again(refused);
  else composer.focus();
}

/** Show what needs a token or a session. */
function signIn() {
  $("token-form").hidden = canAsk();
  showState();
  if (!isStored || !canAsk()) return;
  showAccount();
  if ($("failure").hidden) openAddressed();
  else openThread(conversation.thread);
  if (conversation.thread === "") conversation.resendSaved();
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
  if (detail < 2) stop(); // the second half of a double click was for Send, which this button replaced
});
$("new").addEventListener("click", startAnew);
$("reopen").addEventListener("click", () => openThread(conversation.thread));
$("other-token").addEventListener("click", () => {
  $("token-form").hidden = !$("token-form").hidden;
  showState();
  if (!$("token-form").hidden) $("token").focus();
});
onForm($("transcript"), (answer) => check(answer) && conversation.ask(answer));
$("transcript").addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-act]");
  if (button) runAction(button, conversation, check);
});
composer.addEventListener("input", () => showNotice(""));
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
setText(composer.value); // which the browser may have restored
composer.focus();
