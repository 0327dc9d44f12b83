// What the page's own address carries behind its "#": the thread, so that a reload and Back lead to it again.

function parts() {
  return new URLSearchParams(location.hash.slice(1));
}

function addressWith(hash) {
  return location.pathname + location.search + (String(hash) && `#${hash}`);
}

/** The value of this name, which leaves the address at once; null if it is not there. */
export function takeFromAddress(name) {
  const hash = parts();
  const value = hash.get(name);
  if (value === null) return null;
  hash.delete(name);
  history.replaceState(null, "", addressWith(hash));
  return value;
}

/** The UUID of "#thread=UUID", or "". */
export function threadInAddress() {
  const uuid = (parts().get("thread") ?? "").replaceAll("-", "").toLowerCase();
  return /^[0-9a-f]{32}$/.test(uuid) ? uuid : "";
}

export function hashOf(thread) {
  return thread && `thread=${thread}`;
}

/** Name the thread in the address, "" for none; as a new entry of the browser's history where Back shall lead back. */
export function putIntoAddress(thread, { isNewEntry = false } = {}) {
  if (thread === threadInAddress()) return;
  history[isNewEntry ? "pushState" : "replaceState"](null, "", addressWith(hashOf(thread)));
}
