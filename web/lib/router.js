// Where one is: everything after `#`, so that each view and each filter has a link.

import { signal } from "/lib/html.js";

/** @import { Route } from "/lib/types.js" */

/** @returns {Route} */
function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query ?? "") };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where one is. */
export const route = signal(read());
addEventListener("hashchange", () => {
  route.value = read();
});

/**
 * The link to a view.
 * @param {string} path for example `/services/shop@web-1`; its parts are escaped
 * @param {Record<string, string|null>} [query]
 */
export function href(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const search = new URLSearchParams(/** @type {[string, string][]} */ (known)).toString();
  const escaped = path.split("/").map((part) => encodeURIComponent(part).replaceAll("%40", "@"));
  return `#${escaped.join("/")}${search ? `?${search}` : ""}`;
}

/**
 * Goes to a view.
 * @param {string} path
 * @param {Record<string, string|null>} [query]
 */
export function go(path, query) {
  location.hash = href(path, query);
}

/**
 * Changes the filters of the view in place: the link changes, the history does not grow.
 * @param {Record<string, string|null>} change null or "" takes a filter away
 */
export function setQuery(change) {
  const { path, query } = read();
  const all = { ...Object.fromEntries(query), ...change };
  history.replaceState(history.state, "", href(`/${path.join("/")}`, all));
  route.value = read();
}

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
