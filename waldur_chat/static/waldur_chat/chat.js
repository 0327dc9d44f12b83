// The chat page: what the reader does (ask, stop, start anew, give a token) and what comes of it.

import { ask, buildInput, countCharacters, Problem } from "./api.js";
import { adoptToken, keepToken } from "./token.js";
import { followEnd, Turn } from "./transcript.js";

const $ = (id) => document.getElementById(id);
const page = document.body.dataset;
const words = Object.fromEntries([...$("words").content.children].map((p) => [p.dataset.word, p.textContent]));
const box = $("question");
const scrollToEnd = followEnd($("latest"));

let turns = [];
let current = null; // the AbortController of the turn that is being answered
let token = adoptToken();

// Asking

function send() {
  const question = box.value.trim();
  if (question === "") return box.focus();
  if (current) return say(words.busy);
  const excess = countCharacters(question) - Number(page.maxLength);
  if (excess > 0) return say(words.long.replace("{count}", excess));
  setBox("");
  box.focus();
  return start(question);
}

async function start(question) {
  const input = buildInput(turns, question, Number(page.maxLength));
  const turn = new Turn(question);
  const stopping = (current = new AbortController());
  turns.push(turn);
  $("transcript").append(turn.element);
  scrollToEnd();
  showState();
  say("");
  const outcome = await receive(turn, input, stopping.signal);
  turn.finish(outcome);
  if (current !== stopping) return; // the reader has begun a new chat
  current = null;
  if (document.activeElement === $("stop")) box.focus();
  showState();
  announce(outcome.sentence || words.complete);
  turn.wasRefused = [401, 403].includes(outcome.status);
  if (turn.wasRefused) askForToken(outcome.status);
}

/** Put what comes into `turn`, and tell how it ended. */
async function receive(turn, input, signal) {
  const credentials = { token, csrfHeader: page.csrfHeader, csrfToken: page.csrfToken };
  try {
    for await (const event of ask(page.streamUrl, input, credentials, signal)) {
      if (event.type === "text") turn.addText(event.text);
      if (event.type === "reasoning") turn.addThought(event.text);
      if (event.type === "cancelled") return { sentence: event.detail || words.stopped, canRetry: true };
      if (event.type === "end" && event.reason === "length") return { sentence: words.cut };
    }
    return {};
  } catch (error) {
    if (signal.aborted) return { sentence: words.stopped, canRetry: true };
    if (!(error instanceof Problem)) throw error;
    return { sentence: explain(error), isError: true, canRetry: error.retryable, status: error.status };
  }
}

function explain({ kind, detail, status, seconds }) {
  const own = words[status] ?? words[kind];
  const sentence = detail || own.replace("{status}", status);
  if (!seconds || sentence.includes(seconds)) return sentence;
  const [amount, unit] = seconds > 90 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
  const when = new Intl.RelativeTimeFormat(document.documentElement.lang).format(amount, unit);
  return `${sentence} ${words.wait.replace("{when}", when)}`;
}

function stop() {
  current?.abort();
  box.focus();
}

function startAnew() {
  current?.abort();
  current = null;
  turns = [];
  $("transcript").replaceChildren();
  showState();
  say("");
  announce(words.cleared);
  box.focus();
}

function take(turn) {
  turns = turns.filter((other) => other !== turn);
  turn.element.remove();
  showState();
  return turn.question;
}

const acts = {
  retry(button, turn) {
    if (current) return say(words.busy);
    box.focus();
    return start(take(turn));
  },
  edit(button, turn) {
    if (turn.element.querySelector("[aria-busy]")) return;
    setBox([take(turn), box.value].filter(Boolean).join("\n\n"));
    box.focus();
  },
  async copy(button) {
    await copyText(button.closest(".code").querySelector("code"));
    announce(words.copied);
    const label = button.textContent;
    button.textContent = words.copied;
    setTimeout(() => (button.textContent = label), 2000);
  },
};

async function copyText(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
  } catch {
    getSelection().selectAllChildren(node); // no clipboard without https: the old way, or the reader's own Ctrl+C
    document.execCommand("copy");
  }
}

// Showing

function showState() {
  $("welcome").hidden = turns.length > 0;
  $("send").hidden = current !== null;
  $("stop").hidden = current === null;
  $("new").disabled = turns.length === 0;
  $("other-token").hidden = token === "";
  $("other-token").setAttribute("aria-expanded", !$("token-form").hidden);
}

/** Say what keeps a question in the box; the empty text takes it back. */
function say(sentence) {
  $("notice").textContent = sentence;
}

/** Tell those who listen; the same words twice are told twice. */
function announce(sentence) {
  $("status").textContent = "";
  setTimeout(() => ($("status").textContent = sentence), 50);
}

function setBox(text) {
  box.value = text;
  fitBox();
}

function fitBox() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

// Tokens

function askForToken(status) {
  if (status === 401) token = keepToken("");
  $("token-form").hidden = false;
  $("token-reason").textContent = words.token;
  showState();
  if (box.value === "") $("token").focus();
}

function useToken() {
  token = keepToken($("token").value);
  $("token").value = "";
  $("token-form").hidden = token !== "";
  showState();
  const last = turns.at(-1);
  if (token === "") $("token").focus();
  else if (last?.wasRefused) acts.retry(null, last);
  else box.focus();
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
$("other-token").addEventListener("click", () => {
  $("token-form").hidden = !$("token-form").hidden;
  showState();
  if (!$("token-form").hidden) $("token").focus();
});
$("transcript").addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-act]");
  const turn = turns.find(({ element }) => element.contains(button));
  if (button && turn) acts[button.dataset.act](button, turn);
});
box.addEventListener("input", () => {
  fitBox();
  say("");
});
box.addEventListener("keydown", (event) => {
  const isComposing = event.isComposing || event.keyCode === 229; // Enter then chooses a word
  if (event.key !== "Enter" || event.shiftKey || isComposing) return;
  event.preventDefault();
  send();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && current && !event.isComposing) stop();
});
addEventListener("hashchange", () => {
  token = adoptToken();
  $("token-form").hidden = token !== "" || page.session === "true";
  showState();
});

$("token-form").hidden = token !== "" || page.session === "true";
showState();
fitBox();
box.focus();
