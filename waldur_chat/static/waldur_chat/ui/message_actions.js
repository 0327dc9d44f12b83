// What the buttons within the conversation do.

import { box, putBack } from "./composer.js";
import { openEditor } from "./editor.js";
import { rate } from "./feedback.js";
import { announce, say, words } from "./i18n.js";

/** Do what a click in `conversation` asks for. `check(question)` tells whether that can be asked now. */
export function act(button, conversation, check) {
  const turn = conversation.turnOf(button);
  if (turn) ACTS[button.dataset.act](turn, { button, conversation, check });
}

const ACTS = {
  retry(turn, { conversation }) {
    if (conversation.isBusy) return say(words.busy);
    box.focus();
    return conversation.again(turn);
  },
  edit(turn, { conversation, check }) {
    if (turn.element.querySelector("[aria-busy]")) return;
    if (!turn.inForce) return putBack(conversation.take(turn));
    openEditor(turn, (question) => {
      if (!check(question)) return false;
      box.focus();
      conversation.edit(turn, question);
      return true;
    });
  },
  older(turn, { button }) {
    versionsAround(button, turn).move(-1);
  },
  newer(turn, { button }) {
    versionsAround(button, turn).move(1);
  },
  up(turn) {
    return rate(turn, true);
  },
  down(turn) {
    return rate(turn, false);
  },
  async copy(turn, { button }) {
    await copyText(button.closest(".code").querySelector("code"));
    announce(words.copied);
    const label = button.textContent;
    button.textContent = words.copied;
    setTimeout(() => (button.textContent = label), 2000);
  },
};

function versionsAround(button, turn) {
  return button.closest(".question") ? turn.questions : turn.answers;
}

async function copyText(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
  } catch {
    getSelection().selectAllChildren(node); // no clipboard without https: the old way, or the reader's own Ctrl+C
    document.execCommand("copy");
  }
}
