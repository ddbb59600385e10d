// Above the grid: counts that filter, the search, and how it is shown. Below it: what to do with what is selected.

import { html, useComputed, useEffect, useRef } from "/lib/html.js";
import { asking, dismiss, many, report, trigger } from "/lib/actions.js";
import { href, setQuery } from "/lib/router.js";
import { clear, selected } from "/lib/selection.js";
import { can, live } from "/lib/store.js";
import { tag } from "/lib/tags.js";
import { Commands } from "/components/menu.js";
import { PROBLEMS, Shape, WORST_FIRST, stateWord } from "/components/state.js";
import { asked, counts, dense, foundCount, grouping, onlySelected, order, search, sorting, states, text, toFirst, toggleState } from "/views/grid/model.js";

/** @import { Shown } from "/components/state.js" */

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
