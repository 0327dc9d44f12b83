// What lives as long as the browser tab.

/** The tab's storage; where the browser's settings forbid it, one that keeps nothing. */
export function storage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem: () => {}, removeItem: () => {} };
  }
}
