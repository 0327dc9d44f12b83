// The confirmation before a thread is deleted.

import { format, strings } from "./i18n.js";

const $ = (id) => document.getElementById(id);

/** Ask the user; resolves to whether they confirmed. */
export function confirmDeletion(name) {
  const dialog = $("deletion");
  dialog.returnValue = "";
  $("deletion-title").textContent = format(strings.delete, { name });
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}

for (const button of $("deletion")?.querySelectorAll("button") ?? []) {
  button.addEventListener("click", () => $("deletion").close(button.value));
}
