// What the grid shows: the filters of its link, applied to what is in the store, a few times a second at most. Above it:
// counts that filter, the search, and how it is shown. Below it: what to do with what is selected.

import { asking, dismiss, many, report, trigger } from "/lib/actions.js";
import { batch, computed, effect, html, signal, untracked, useComputed, useEffect, useRef } from "/lib/html.js";
import { href, route, setQuery } from "/lib/router.js";
import { byName, count, groups, inStates, lines, matches, parse } from "/lib/search.js";
import { clear, selected } from "/lib/selection.js";
import { can, live, onForget, services, version } from "/lib/store.js";
import { tag } from "/lib/tags.js";
import { Commands } from "/components/menu.js";
import { PROBLEMS, Shape, stateWord, WORST_FIRST } from "/components/state.js";

/** @import { Shown } from "/components/state.js" */
/** @import { Grouping, Sorting } from "/lib/search.js" */
/** @import { GridLine, Service } from "/lib/types.js" */

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
 * @param {import("/lib/types.js").Group|undefined} a
 * @param {import("/lib/types.js").Group|undefined} b
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

// Above the grid: counts that filter, the search, and how it is shown. Below it: what to do with what is selected.

/** @param {{state: Shown}} props */
function CountButton({ state }) {
  const count = useComputed(() => counts.value[state] ?? 0);
  const pressed = useComputed(() => states.value.has(state));
  const none = useComputed(() => count.value === 0 && !pressed.value);
  return html`<button type="button" class="count s-${state}" data-count=${state} data-none=${none.value ? "yes" : "no"} aria-pressed=${pressed.value} onClick=${() => toggleState(state)}>
    <${Shape} state=${state} /><b>${count}</b> <span>${stateWord(state)}</span>
  </button>`;
}

/** What is wrong, in one word and number. */
function ProblemCount() {
  const count = useComputed(() => [...PROBLEMS].reduce((sum, state) => sum + (counts.value[/** @type {Shown} */ (state)] ?? 0), 0));
  const pressed = states.value.has("problems");
  if (!count.value && !pressed) {
    if (!foundCount.value) return null;
    const among = text.value.trim() ? " among these" : "";
    return html`<p class="all-good s-active" data-count="problems"><${Shape} state="active" /> No problems${among}</p>`;
  }
  return html`<button type="button" class="count problems" data-count="problems" aria-pressed=${pressed} onClick=${() => toggleState("problems")}>
    <b>${count}</b> <span>${count.value === 1 ? "problem" : "problems"}</span>
  </button>`;
}

/** The counts; each is a filter. */
export function Counts() {
  return html`<div id="counts" role="group" aria-label="Services by state">
    <${ProblemCount} />
    ${WORST_FIRST.map((state) => html`<${CountButton} key=${state} state=${state} />`)}
  </div>`;
}

/** The search box, and what it does not understand. */
export function SearchBox() {
  const onInput = (/** @type {any} */ event) => search(event.target.value);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if ((event.key === "Enter" && !event.isComposing) || event.key === "ArrowDown") {
      event.preventDefault();
      toFirst();
    }
    if (event.key !== "Escape") return;
    event.stopPropagation();
    event.preventDefault();
    if (text.peek()) search("");
    else /** @type {HTMLElement} */ (event.target).blur();
  };
  const { problems } = asked.value;
  return html`<div class="search">
    <input id="search" type="search" aria-label="Search services" aria-describedby="search-help" placeholder="Search: name, machine, state:stopped tag:prod…" autocomplete="off" autocapitalize="none" spellcheck=${false} value=${text} onInput=${onInput} onKeyDown=${onKeyDown} />
    <kbd aria-hidden="true">/</kbd>
    <p id="search-help" class=${problems.length ? "search-problem" : "hidden"}>${problems.length ? problems.join(" ") : "Words, and name: machine: state: tag: in: (a collection) type: is: port: reason: with a value; a minus before one excludes."}</p>
  </div>`;
}

const GROUPS = { machine: "Machine", collection: "Collection", tag: "Tag", state: "State", none: "None" };
const SORTS = { problems: "Problems first", name: "Name", state: "State", since: "Latest change" };

/**
 * @param {{id: string, label: string, choices: Record<string, string>, value: string, query: string}} props
 */
function Choice({ id, label, choices, value, query }) {
  const [first] = Object.keys(choices);
  const onChange = (/** @type {any} */ event) => setQuery({ [query]: event.target.value === first ? null : event.target.value });
  return html`<label class="choice" for=${id}><span>${label}</span>
    <select id=${id} value=${value} onChange=${onChange}>${Object.entries(choices).map(([key, word]) => html`<option key=${key} value=${key} selected=${key === value}>${word}</option>`)}</select>
  </label>`;
}

/** How the list is shown. */
export function Choices() {
  return html`<div class="choices">
    <${Choice} id="group" label="Group" choices=${GROUPS} value=${grouping.value} query="group" />
    <${Choice} id="sort" label="Sort" choices=${SORTS} value=${sorting.value} query="sort" />
    <button type="button" id="dense" aria-pressed=${dense.value} title="Many as small tiles (d)" onClick=${() => setQuery({ dense: dense.value ? null : "1" })}>Dense</button>
  </div>`;
}

/** Leaves the focus where the keyboard was, when what had it is gone. */
function refocus() {
  const to = document.querySelector('[data-service][tabindex="0"]') ?? document.querySelector("main h1");
  if (to instanceof HTMLElement) to.focus({ preventScroll: true });
}

/** What can be done with what is selected. */
export function ActionBar() {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const names = [...selected.value];
  const hidden = useComputed(() => {
    const shown = new Set(order.value);
    return [...selected.value].filter((name) => !shown.has(name)).length;
  });
  const open = names.length > 0 && can("trigger");
  useEffect(() => {
    // What the keyboard goes to is not left under the bar.
    document.documentElement.classList.toggle("selecting", open);
    return () => document.documentElement.classList.remove("selecting");
  }, [open]);
  if (!open) return null;
  const off = !live.value.live;
  const onClear = () => {
    clear();
    refocus();
  };
  return html`<div id="actions" ref=${ref} role="toolbar" aria-label="What to do with the selection">
    <p role="status"><b>${names.length} selected</b>${hidden.value > 0 && html` <span>(${hidden} not shown)</span>`}</p>
    <${Commands} targets=${names} />
    ${can("tag") && html`<button type="button" data-action="tag" disabled=${off} title=${off ? "Not while the manager has not been heard from" : "Tag (t)"} onClick=${() => tag(names)}>Tag…</button>`}
    ${names.length === 1 && html`<a class="button" href=${href(`/services/${names[0]}`)}>Open</a>`}
    ${(names.length > 1 || onlySelected.value) && html`<button type="button" aria-pressed=${onlySelected.value} onClick=${() => (onlySelected.value = !onlySelected.value)}>Only these</button>`}
    <button type="button" class="icon" aria-label="Clear the selection" title="Clear (Esc)" onClick=${onClear}>✕</button>
  </div>`;
}

/** What became of the last call, where not all went well. */
export function Results() {
  if (!report.value) return null;
  const { action, results, problem } = report.value;
  const bad = results.filter((result) => !["done", "ignored"].includes(result.outcome));
  const names = bad.map((result) => result.service);
  const close = () => {
    report.value = null;
    dismiss(names);
    refocus();
  };
  const choose = () => {
    selected.value = new Set(names);
    onlySelected.value = true;
  };
  // Those that failed for one reason stand together.
  /** @type {Map<string, string[]>} */
  const reasons = new Map();
  for (const { service, outcome, message } of bad) {
    const why = `${outcome.replace("_", " ")}: ${message}`;
    reasons.set(why, [...(reasons.get(why) ?? []), service]);
  }
  return html`<section id="results" aria-label="What became of it">
    <header>
      <h2>${action}: ${bad.length} of ${many(results.length, "service")} not done</h2>
      <button type="button" onClick=${choose}>Show ${bad.length === 1 ? "it" : "them"}</button>
      <button type="button" data-retry disabled=${!live.value.live} aria-disabled=${asking.value ? "true" : null} onClick=${() => trigger(action, names)}>Try again</button>
      <button type="button" class="icon" aria-label="Dismiss" onClick=${close}>✕</button>
    </header>
    ${problem && html`<p class="problem">${problem}</p>`}
    <ul>${[...reasons].map(([why, who]) => html`<li key=${why}><b>${who.length > 3 ? many(who.length, "service") : who.join(", ")}</b> ${why}</li>`)}</ul>
  </section>`;
}
