// What lies over every view: find and do (every view, service and action, with the keyboard alone), and the help on keys.

import { VERBS, trigger } from "/lib/actions.js";
import { COMMANDS, begin } from "/lib/commands.js";
import { html, useComputed, useEffect, useRef, useSignal } from "/lib/html.js";
import { go } from "/lib/router.js";
import { term } from "/lib/search.js";
import { selected } from "/lib/selection.js";
import { can, live, services } from "/lib/store.js";
import { THEMES, setTheme } from "/lib/theme.js";
import { Dialog } from "/components/dialog.js";
import { openHelp } from "/components/keys.js";
import { Shape, shownState } from "/components/state.js";
import { VIEWS } from "/components/views.js";

/** @typedef {{label: string, hint: string, state?: import("/components/state.js").Shown, run: () => void}} Entry */

/** The most that are listed. */
const MOST = 30;

/** Filters worth a name. @type {[string, Record<string, string>][]} */
const FILTERS = [
  ["Problems", { state: "problems" }],
  ["Crashed", { state: "crashed" }],
  ["Unresponsive", { state: "unresponsive" }],
  ["Not available", { state: "not_available" }],
  ["Stopped", { state: "stopped,crashed" }],
  ["Starting or stopping", { state: "starting,stopping" }],
  ["Agents", { q: "type:agent" }],
  ["Latest changes", { sort: "since", group: "none" }],
  ["By tag", { group: "tag" }],
  ["By collection", { group: "collection" }],
  ["Dense", { dense: "1" }],
];

/** @returns {Entry[]} what does not depend on what is typed */
function fixed() {
  const names = [...selected.value];
  const onSelection = can("trigger") && live.value.live && names.length
    ? COMMANDS.map(({ command, name }) => ({ label: `${name} the ${names.length} selected`, hint: "action", run: () => void begin(command, names) }))
    : [];
  const views = VIEWS.filter((view) => !view.shown || view.shown());
  return [
    ...onSelection,
    ...views.map((view) => ({ label: view.label, hint: `view · g ${view.key}`, run: () => go(`/${view.path}`) })),
    { label: "Account", hint: "view", run: () => go("/account") },
    ...FILTERS.map(([label, query]) => ({ label, hint: "filter", run: () => go("/", query) })),
    ...THEMES.map((theme) => ({ label: `Colours: ${theme}`, hint: "setting", run: () => setTheme(theme) })),
    { label: "Keyboard shortcuts", hint: "help · ?", run: openHelp },
  ];
}

/**
 * How well a label fits what is typed; the less, the better; -1 if not at all.
 * @param {string} label
 * @param {string[]} words in lower case
 */
function fit(label, words) {
  const lower = label.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const at = lower.indexOf(word);
    if (at < 0) return -1;
    sum += at;
  }
  return sum + lower.length / 100;
}

/**
 * What a first word does to what is named after it: a command, or a trigger on single services.
 * @param {string} word
 */
function verbOf(word) {
  const found = COMMANDS.find(({ command }) => command === word);
  if (found) return { name: found.name, all: true, run: (/** @type {string} */ name) => void begin(found.command, [name]) };
  const action = /** @type {const} */ (["start", "stop", "kill"]).find((name) => word === `trigger-${name}`);
  return action && { name: `Trigger ${VERBS[action].name.toLowerCase()}`, all: false, run: (/** @type {string} */ name) => void trigger(action, [name]) };
}

/**
 * What is listed for what is typed.
 * @param {string} text
 * @returns {Entry[]}
 */
function entries(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return fixed();
  /** @type {[number, Entry][]} */
  const found = [];
  for (const entry of fixed()) {
    const score = fit(`${entry.label} ${entry.hint}`, words);
    if (score >= 0) found.push([score, entry]);
  }
  // "stop shop-a" acts on a service; "shop-a" opens it.
  const verb = words.length > 1 && can("trigger") && live.value.live ? verbOf(words[0]) : undefined;
  const wanted = verb ? words.slice(1) : words;
  const collections = new Set();
  for (const [name, held] of services.value) {
    for (const collection of held.peek().collections ?? []) collections.add(collection);
    const score = fit(name, wanted);
    if (score < 0) continue;
    const state = shownState(held.peek());
    if (verb) found.push([score - 5, { label: `${verb.name} ${name}`, hint: "action", state, run: () => verb.run(name) }]);
    else found.push([score + 2, { label: name, hint: held.peek().type, state, run: () => go(`/services/${name}`) }]);
  }
  for (const name of collections) {
    const score = fit(name, wanted);
    if (score < 0) continue;
    if (verb?.all) found.push([score - 6, { label: `${verb.name} ${name}`, hint: "collection", run: () => verb.run(name) }]);
    else if (!verb) {
      found.push([score + 1, { label: name, hint: "collection", run: () => go(`/collections/${name}`) }]);
      found.push([score + 3, { label: term("in", name), hint: "filter", run: () => go("/", { q: term("in", name) }) }]);
    }
  }
  found.sort((a, b) => a[0] - b[0]);
  const best = found.slice(0, MOST).map(([, entry]) => entry);
  best.push({ label: `Search the grid for “${text.trim()}”`, hint: "filter", run: () => go("/", { q: text.trim() }) });
  return best;
}

/** @param {{onClose: () => void}} props */
export default function Palette({ onClose }) {
  const text = useSignal("");
  const at = useSignal(0);
  const list = useRef(/** @type {HTMLUListElement|null} */ (null));
  const found = useComputed(() => entries(text.value));
  useEffect(() => {
    list.current?.children[at.value]?.scrollIntoView({ block: "nearest" });
  }, [at.value]);
  const run = (/** @type {number} */ index) => {
    const entry = found.value[index];
    if (!entry) return;
    onClose();
    // The dialog gives the focus back first.
    setTimeout(entry.run);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const count = found.value.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) at.value = (at.value + step + count) % count;
    else if (event.key === "Enter") run(at.value);
    else return;
    event.preventDefault();
  };
  const onInput = (/** @type {any} */ event) => {
    text.value = event.target.value;
    at.value = 0;
  };
  const option = (/** @type {Entry} */ { label, hint, state }, /** @type {number} */ index) => html`<li
    key=${label} id="palette-${index}" role="option" aria-selected=${index === at.value} class=${state ? `s-${state}` : ""}
    onPointerMove=${() => (at.value = index)} onClick=${() => run(index)}>
    ${state && html`<${Shape} state=${state} />`}<span>${label}</span><small>${hint}</small>
  </li>`;
  return html`<${Dialog} id="palette" title=${null} bare label="Find and do" onClose=${onClose}>
    <input type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant="palette-${at.value}" aria-autocomplete="list"
      aria-label="Find and do" placeholder="A view, a service, a collection, “restart shop-a”…" autocomplete="off" autocapitalize="none" spellcheck=${false} data-first
      value=${text} onInput=${onInput} onKeyDown=${onKeyDown} />
    <ul id="palette-list" role="listbox" aria-label="Found" ref=${list}>${found.value.map(option)}</ul>
  <//>`;
}

// The help on keys.

/** @param {{onClose: () => void}} props */
export function Shortcuts({ onClose }) {
  const views = VIEWS.filter((view) => !view.shown || view.shown());
  const acts = can("trigger");
  /** @type {[string, [string[], string][]][]} */
  const groups = [
    ["Everywhere", [[["Ctrl K"], "Find and do"], [["?"], "This help"], [["Esc"], "Close, or clear the selection"]]],
    ["Go to", views.map((view) => [["g", view.key], view.label])],
    [
      "In the grid",
      [
        [["/"], "Search"],
        [["j", "k"], "Down, up (also the arrows)"],
        [["Enter"], "Open the service"],
        [["d"], "Dense or not"],
        ...(acts ? /** @type {[string[], string][]} */ ([[["x"], "Select (also Space)"], [["Shift X"], "Select the whole group"], [["Shift ↓"], "Extend the selection"], [["Ctrl A"], "Select all that are shown"]]) : []),
      ],
    ],
  ];
  if (acts) groups.push(["With the selection", [[["Shift S"], "Start"], [["Shift T"], "Stop"], [["Shift R"], "Restart"], [["Shift K"], "Kill"], [["t"], "Tag"]]]);
  return html`<${Dialog} id="shortcuts" title="Keyboard shortcuts" wide onClose=${onClose}>
    <div class="body" tabindex="0" role="region" aria-label="Keys">
      ${groups.map(([title, keys]) => html`<section key=${title}>
        <h3>${title}</h3>
        <dl>${keys.map(([names, what]) => html`<dt>${names.map((name) => html`<kbd key=${name}>${name}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
      </section>`)}
    </div>
  <//>`;
}
