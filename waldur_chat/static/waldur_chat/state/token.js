// The API token of a reader without a session. It lives as long as the browser tab, and never in an address.

import { takeFromAddress } from "./address.js";
import { storage } from "./session.js";

const NAME = "waldur-chat-token";

let token = "";

export function currentToken() {
  return token;
}

/** Whether "#token=KEY" gave a token, which leaves the address bar at once; if not, one kept earlier is used. */
export function adoptToken() {
  const given = takeFromAddress("token");
  if (given === null) token = storage().getItem(NAME) ?? token;
  else keepToken(given);
  return given !== null;
}

/** Keep what a header can carry. */
export function keepToken(text) {
  token = /^[\x21-\x7e]+$/.test(text.trim()) ? text.trim() : "";
  storage().setItem(NAME, token);
}
