// Links in what the model writes. Only addresses that lead to a page or to a mail are links; all open in a new tab.

const LINKED = new Set(["http:", "https:", "mailto:"]);

/** An <a> without text that leads to this address, also to one relative to the page; null if it must not be a link. */
export function linkTo(address) {
  const url = safeUrl(address);
  if (!url) return null;
  const link = document.createElement("a");
  link.href = url.href;
  link.target = "_blank"; // also within the site: an answer may still be written here
  link.rel = "noopener noreferrer nofollow";
  return link;
}

function safeUrl(address) {
  try {
    const url = address ? new URL(address, document.baseURI) : null;
    return url && LINKED.has(url.protocol) && !bringsToken(url) ? url : null;
  } catch {
    return null; // nonsense
  }
}

/** Whether a page of this site would take an API token from it, and from then on act for whoever wrote the link. */
function bringsToken({ origin, hash }) {
  return origin === location.origin && new URLSearchParams(hash.slice(1)).has("token");
}
