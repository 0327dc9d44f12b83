// The API token of a user without a session. It is kept as long as the browser tab, and never in a URL.

import { takeFromAddress } from "./address.js";
import { storage } from "./session.js";

const NAME = "waldur-chat-token";

let token = "";

export function currentToken() {
  return token;
}

/** Take the token from "#token=KEY" and remove it there, or use the stored one. Tells whether the URL had one. */
export function adoptToken() {
  const given = takeFromAddress("token");
  if (given === null) token = storage().getItem(NAME) ?? token;
  else keepToken(given);
  return given !== null;
}

/** Store a token, if an HTTP header can carry it. */
export function keepToken(text) {
  token = /^[\x21-\x7e]+$/.test(text.trim()) ? text.trim() : "";
  storage().setItem(NAME, token);
}
