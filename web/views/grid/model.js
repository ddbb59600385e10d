// What the grid shows: the link's filters, applied to what is in the store, a few times a second at most.

import { batch, computed, effect, signal, untracked } from "/lib/html.js";
import { route, setQuery } from "/lib/router.js";
import { WORST_FIRST } from "/components/state.js";
import { byName, count, groups, inStates, lines, matches, parse } from "/lib/search.js";
import { selected } from "/lib/selection.js";
import { onForget, services, version } from "/lib/store.js";

/** @import { Service } from "/lib/types.js" */
/** @import { GridLine, Grouping, Sorting } from "/lib/search.js" */

/** How long after the last key the search goes into the link, in milliseconds. */
const TYPED = 250;

/** The least width of a tile, in pixels. */
const TILE = 168;

/** Whether rows are cards of two lines. */
export const narrow = signal(false);
const narrowWindow = matchMedia("(max-width: 760px)");
const onWidth = () => {
  narrow.value = narrowWindow.matches;
};
narrowWindow.addEventListener("change", onWidth);
onWidth();

/** The width of the list, in pixels. */
export const width = signal(1000);

/** The search as it is typed. */
export const text = signal("");
let writing = 0;

const onGrid = computed(() => !route.value.path.length);
effect(() => {
  const asked = route.value.query.get("q") ?? "";
  if (onGrid.value && !writing) text.value = asked;
});

/**
 * Searches.
 * @param {string} value
 */
export function search(value) {
  text.value = value;
  clearTimeout(writing);
  writing = setTimeout(() => {
    writing = 0;
    if (onGrid.peek()) setQuery({ q: text.peek() });
  }, TYPED);
}

/** The search, understood. */
export const asked = computed(() => parse(text.value));

/**
 * A filter of the link, and its default.
 * @template {string} T
 * @param {string} key
 * @param {T[]} known the first is the default
 */
function choice(key, known) {
  return computed(() => {
    const value = /** @type {T} */ (route.value.query.get(key));
    return known.includes(value) ? value : known[0];
  });
}

/** How services are grouped. */
export const grouping = choice("group", /** @type {Grouping[]} */ (["machine", "collection", "tag", "state", "none"]));

/** How services are sorted. */
export const sorting = choice("sort", /** @type {Sorting[]} */ (["problems", "name", "state", "since"]));

/** Whether services are tiles. */
export const dense = computed(() => route.value.query.get("dense") === "1");

/** The states that are shown, as a text, so that the same choice is the same value. */
const stateText = computed(() => route.value.query.get("state") ?? "");

/** The states that are shown; none means all. */
export const states = computed(() => new Set(stateText.value.split(",").filter(Boolean)));

/**
 * Shows a state, or no more.
 * @param {string} state
 */
export function toggleState(state) {
  const next = new Set(states.peek());
  if (!next.delete(state)) next.add(state);
  setQuery({ state: [...next].join(",") });
}

/** Whether only what is selected is shown. */
export const onlySelected = signal(false);
effect(() => {
  if (!selected.value.size) onlySelected.value = false;
});

/** Shows everything again. */
export function showAll() {
  clearTimeout(writing);
  writing = 0;
  batch(() => {
    onlySelected.value = false;
    text.value = "";
    setQuery({ q: null, state: null });
  });
}

/** Whether anything is filtered out. */
export const filtered = computed(() => !!text.value.trim() || states.value.size > 0 || onlySelected.value);

/** Every service's signal, in the order of names. */
const ordered = computed(() => {
  const all = [...services.value.values()];
  return untracked(() => all.sort((a, b) => byName(a.value, b.value)));
});

/** What the search finds, whatever its state. */
const found = computed(() => {
  version.value;
  const query = asked.value;
  const only = onlySelected.value ? selected.value : null;
  const all = ordered.value.map((service) => service.peek());
  if (!query.terms.length && !only) return all;
  return all.filter((service) => matches(service, query) && (!only || only.has(service.name)));
});

/** How many of what the search finds are in each state, as JSON. */
const countText = computed(() => JSON.stringify(count(found.value)));

/** How many of what the search finds are in each state.
 * @type {import("/lib/html.js").Signal<import("/lib/search.js").Counts>} */
export const counts = computed(() => JSON.parse(countText.value));

/** How many the search finds, whatever their state. */
export const foundCount = computed(() => found.value.length);

/** How many tiles stand in a line; 0 for rows. */
export const perLine = computed(() => (dense.value ? Math.max(1, Math.floor(width.value / TILE)) : 0));

/** @type {GridLine[]} */
let before = [];

/** The lines of the list. What did not change is the same object as before, and is not drawn again. */
export const shownLines = computed(() => {
  const visible = states.value.size ? found.value.filter((service) => inStates(service, states.value)) : found.value;
  const sizes = narrow.value ? { head: 44, row: 62, tile: 38 } : { head: dense.value ? 28 : 36, row: 34, tile: 32 };
  const fresh = lines(groups(visible, grouping.value, sorting.value), { ...sizes, perLine: perLine.value });
  const known = new Map(before.map((line) => [line.key, line]));
  const kept = fresh.map((line) => {
    const old = known.get(line.key);
    return old && alike(old, line) ? old : line;
  });
  if (kept.length === before.length && kept.every((line, i) => line === before[i])) return before;
  before = kept;
  return kept;
});

/**
 * @param {GridLine} a
 * @param {GridLine} b
 */
function alike(a, b) {
  if (a.height !== b.height) return false;
  if (a.kind === "row") return true;
  if (a.kind === "tiles") return a.names?.length === b.names?.length && !!a.names?.every((name, i) => name === b.names?.[i]);
  return sameGroup(a.group, b.group);
}

/**
 * @param {import("/lib/search.js").Group|undefined} a
 * @param {import("/lib/search.js").Group|undefined} b
 */
function sameGroup(a, b) {
  if (!a || !b || a.services.length !== b.services.length) return false;
  if (!WORST_FIRST.every((state) => a.counts[state] === b.counts[state])) return false;
  return a.services.every((service, i) => service.name === b.services[i].name);
}

/** The names that are shown, from top to bottom, each once. */
export const order = computed(() => {
  const names = new Set();
  for (const line of shownLines.value) {
    if (line.name) names.add(line.name);
    else for (const name of line.names ?? []) names.add(name);
  }
  return /** @type {string[]} */ ([...names]);
});

/** Where the keyboard is. */
export const cursor = signal("");

/** The line where the keyboard is; -1 if nowhere. */
export const cursorLine = computed(() => {
  const name = cursor.value;
  return name ? shownLines.value.findIndex((line) => line.name === name || line.names?.includes(name)) : -1;
});

/** Whether the row that has the cursor next takes the focus, and is scrolled to. */
export const focusing = { wanted: false, reveal: false };

/** Where among what is shown the cursor was last. */
let lastAt = -1;

// When what has the cursor goes, the cursor goes to what stands there now.
effect(() => {
  const names = order.value;
  const name = cursor.value;
  const at = name ? names.indexOf(name) : -1;
  if (at < 0 && name && names.length && lastAt >= 0) {
    focusing.wanted = !!document.activeElement?.closest("[data-service]");
    cursor.value = names[Math.min(lastAt, names.length - 1)];
  } else lastAt = at;
});

onForget(() => {
  cursor.value = "";
});

/** Puts the cursor on the first of what is shown. */
export function toFirst() {
  cursor.value = "";
  move(1);
}

/**
 * Moves the cursor through what is shown.
 * @param {number} by
 */
export function move(by) {
  const names = order.peek();
  if (!names.length) return;
  const at = names.indexOf(cursor.peek());
  const to = at < 0 ? (by > 0 ? 0 : names.length - 1) : Math.min(names.length - 1, Math.max(0, at + by));
  // Where it is already, nothing is drawn that could take the focus.
  focusing.wanted = names[to] !== cursor.peek();
  focusing.reveal = focusing.wanted;
  cursor.value = names[to];
}
