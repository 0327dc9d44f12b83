// Scrolling to the newest line.

/** Keep the end of the page in view while it grows, unless the user scrolled up; `button` returns to it. */
export function followEnd(button) {
  let following = true;
  let last = 0;
  const page = document.documentElement;
  const toEnd = () => {
    following = true;
    scrollTo(0, page.scrollHeight);
  };
  const look = () => {
    const isAtEnd = innerHeight + scrollY >= page.scrollHeight - 40;
    if (isAtEnd) following = true;
    else if (scrollY < last) following = false;
    last = scrollY;
    button.hidden = following;
  };
  addEventListener("scroll", look, { passive: true });
  button.addEventListener("click", toEnd);
  new ResizeObserver(() => (following ? scrollTo(0, page.scrollHeight) : look())).observe(document.body);
  return toEnd;
}
