// The API token of a reader without a session. It lives as long as the browser tab, and never in an address.

const NAME = "waldur-chat-token";

/** The token of "#token=KEY", which leaves the address bar at once, or the one kept earlier, or "". */
export function adoptToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return storage().getItem(NAME) ?? "";
  history.replaceState(null, "", location.pathname + location.search);
  return keepToken(given);
}

/** Keep what a header can carry, which is returned. */
export function keepToken(text) {
  const token = /^[\x21-\x7e]+$/.test(text.trim()) ? text.trim() : "";
  storage().setItem(NAME, token);
  return token;
}

function storage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem: () => {} }; // forbidden by the browser's settings
  }
}
