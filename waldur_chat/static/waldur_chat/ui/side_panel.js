// The side panel: beside the conversation where there is room, else in a drawer that a button opens.

const $ = (id) => document.getElementById(id);

/** Gives what closes the drawer. A dialog, so focus stays in it and Escape closes it. */
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
