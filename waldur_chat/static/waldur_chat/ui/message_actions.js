// Actions of the buttons in the conversation.

import { composer, prependText } from "./composer.js";
import { openEditor } from "./editor.js";
import { rate } from "./feedback.js";
import { announce, showNotice, strings } from "./i18n.js";

/** Run the action of a button in `conversation`. `check(question)` tells whether a question can be sent now. */
export function runAction(button, conversation, check) {
  const turn = conversation.turnOf(button);
  if (turn) ACTIONS[button.dataset.act](turn, { button, conversation, check });
}

const ACTIONS = {
  retry(turn, { conversation }) {
    if (conversation.isBusy) return showNotice(strings.busy);
    composer.focus();
    return conversation.again(turn);
  },
  edit(turn, { conversation, check }) {
    if (turn.element.querySelector("[aria-busy]")) return;
    if (!turn.inForce) return prependText(conversation.take(turn));
    openEditor(turn, (question) => {
      if (!check(question)) return false;
      composer.focus();
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
  approve(turn, { button, conversation }) {
    return decide(button, conversation);
  },
  deny(turn, { button, conversation }) {
    return decide(button, conversation);
  },
  up(turn) {
    return rate(turn, true);
  },
  down(turn) {
    return rate(turn, false);
  },
  async copy(turn, { button }) {
    await copyText(button.closest(".code").querySelector("code"));
    announce(strings.copied);
    const label = button.textContent;
    button.textContent = strings.copied;
    setTimeout(() => (button.textContent = label), 2000);
  },
};

function decide(button, conversation) {
  if (conversation.isBusy) return showNotice(strings.busy);
  composer.focus();
  return conversation.decide(button.closest(".call").dataset.uuid, button.dataset.act);
}

function versionsAround(button, turn) {
  return button.closest(".question") ? turn.questions : turn.answers;
}

async function copyText(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
  } catch {
    getSelection().selectAllChildren(node); // there is no clipboard API without https
    document.execCommand("copy");
  }
}
