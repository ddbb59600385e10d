// Where one is: everything after `#`, so that each view and each filter has a link.

import { signal } from "/lib/html.js";

/**
 * @typedef {object} Route
 * @property {string[]} path its parts; none for the grid
 * @property {URLSearchParams} query
 */

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
