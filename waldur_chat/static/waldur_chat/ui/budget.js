// How many tokens the reader has left, for those who have a limit.

import { readUsage } from "../net/store.js";
import { fill, language, words } from "./i18n.js";

const PERIODS = ["daily", "weekly", "monthly"];

/** Show what is left of the tightest limit; what cannot be learned is not shown. */
export async function showBudget() {
  const usage = await readUsage().catch(() => ({}));
  const leftOf = (period) => usage[`${period}_remaining`] ?? Infinity;
  const tightest = PERIODS.reduce((one, other) => (leftOf(other) < leftOf(one) ? other : one));
  const left = leftOf(tightest);
  const count = new Intl.NumberFormat(language).format(Math.max(left, 0));
  document.getElementById("budget").textContent = left === Infinity ? "" : fill(words[tightest], { count });
}
