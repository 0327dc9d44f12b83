// The question before a thread is deleted.

import { fill, words } from "./i18n.js";

const $ = (id) => document.getElementById(id);

/** Whether the reader wants that. */
export function confirmDeletion(name) {
  const dialog = $("deletion");
  dialog.returnValue = "";
  $("deletion-title").textContent = fill(words.delete, { name });
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

for (const button of $("deletion")?.querySelectorAll("button") ?? []) {
  button.addEventListener("click", () => $("deletion").close(button.value));
}
