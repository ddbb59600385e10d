// Where one is in each view: its top when it is gone to, where one was when one comes back.

/** How long a view may take until it is as long as it was, in milliseconds. */
const GROWS = 1000;

/** How far down one was in each entry of the history, by the entry's key. @type {Map<string, number>} */
const heights = new Map();

history.scrollRestoration = "manual";

/** @returns {string} the key of the entry that is shown */
function key() {
  const known = history.state?.key;
  if (known) return known;
  const fresh = String(Math.random());
  history.replaceState({ ...history.state, key: fresh }, "");
  return fresh;
}

let here = key();
let path = "";
let moving = 0;

addEventListener(
  "scroll",
  () => {
    if (!moving && history.state?.key === here) heights.set(here, scrollY);
  },
  { passive: true },
);
// A page that is loaded anew is where it was.
addEventListener("pagehide", () => history.replaceState({ ...history.state, y: scrollY }, ""));
for (const touch of ["wheel", "pointerdown", "keydown"]) addEventListener(touch, () => stop(), { passive: true });

function stop() {
  cancelAnimationFrame(moving);
  moving = 0;
}

/**
 * Goes to where one was, or to the top, and puts the focus on the heading, when another view is shown than before.
 * @param {string} to the path of the view that is shown
 */
export function arrive(to) {
  const first = !path;
  if (path === `/${to}`) return;
  path = `/${to}`;
  here = key();
  const y = first ? (history.state?.y ?? 0) : (heights.get(here) ?? 0);
  const until = performance.now() + GROWS;
  stop();
  const move = () => {
    scrollTo(0, y);
    moving = Math.abs(scrollY - y) > 1 && performance.now() < until ? requestAnimationFrame(move) : 0;
  };
  move();
  if (first || document.querySelector("dialog[open]")) return;
  const heading = document.querySelector("main h1");
  if (!(heading instanceof HTMLElement)) return;
  if (!heading.hasAttribute("tabindex")) heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
