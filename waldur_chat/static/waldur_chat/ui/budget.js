// The tokens that the user has left, if there is a limit.

import { format, language, strings } from "./i18n.js";
import { readUsage } from "../net/store.js";

const PERIODS = ["daily", "weekly", "monthly"];

/** Show what is left of the tightest limit; nothing if the usage cannot be read. */
export async function showBudget() {
  const usage = await readUsage().catch(() => ({}));
  const leftOf = (period) => usage[`${period}_remaining`] ?? Infinity;
  const tightest = PERIODS.reduce((one, other) => (leftOf(other) < leftOf(one) ? other : one));
  const left = leftOf(tightest);
  const count = new Intl.NumberFormat(language).format(Math.max(left, 0));
  document.getElementById("budget").textContent = left === Infinity ? "" : format(strings[tightest], { count });
}
