// The side panel: beside the conversation if the window is wide, else in a dialog that a button opens.

const $ = (id) => document.getElementById(id);

/** Set up the panel; returns a function that closes its dialog. In a dialog, focus is trapped and Escape closes. */
export function sidePanel() {
  const wide = matchMedia("(min-width: 60rem)");
  const drawer = $("drawer");
  const place = () => {
    drawer.close();
    $("side").hidden = !wide.matches;
    (wide.matches ? $("side") : drawer).append($("panel"));
  };
  wide.addEventListener("change", place);
  $("open-side").addEventListener("click", () => drawer.showModal());
  $("close-side").addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", ({ target }) => target === drawer && drawer.close()); // beside it
  place();
  return () => drawer.close();
}
