// The fragment of the page's URL: it names the thread, so that reload and Back lead to it again.

function parts() {
  return new URLSearchParams(location.hash.slice(1));
}

function addressWith(hash) {
  return location.pathname + location.search + (String(hash) && `#${hash}`);
}

/** Remove this parameter from the fragment, and return its value; null if there is none. */
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

/** Put the thread into the fragment, "" for none; `isNewEntry` adds an entry to the browser's history. */
export function putIntoAddress(thread, { isNewEntry = false } = {}) {
  if (thread === threadInAddress()) return;
  history[isNewEntry ? "pushState" : "replaceState"](null, "", addressWith(hashOf(thread)));
}
