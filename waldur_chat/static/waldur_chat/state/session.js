// Storage that is kept as long as the browser tab.

/** The storage of the tab; one that stores nothing if the browser's settings forbid it. */
export function storage() {
  try {
    return sessionStorage;
  } catch {
    return { getItem: () => null, setItem: () => {}, removeItem: () => {} };
  }
}
