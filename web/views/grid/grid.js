// The grid: every service, what is wrong first.

import { dismiss, outcomes } from "/lib/actions.js";
import { begin, claims, underWay } from "/lib/commands.js";
import { html, useComputed, useEffect, useLayoutEffect, useRef } from "/lib/html.js";
import { go, href, setQuery } from "/lib/router.js";
import { range, selectAll, selected, toggle } from "/lib/selection.js";
import { can, live, machines, services } from "/lib/store.js";
import { tag } from "/lib/tags.js";
import { Time } from "/lib/time.js";
import { viewKeys } from "/components/keys.js";
import { crashed, Shape, shownState, StateMark, stateWord, WORST_FIRST } from "/components/state.js";
import { Empty } from "/components/dialog.js";
import { reveal, Virtual } from "/components/virtual.js";
import { ActionBar, Choices, Counts, cursor, cursorLine, dense, filtered, focusing, grouping, move, narrow, order, perLine, Results, SearchBox, showAll, shownLines, width } from "/views/grid/model.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Service } from "/lib/types.js" */

/** @param {EventTarget|null} target */
function nameOf(target) {
  const at = target instanceof Element ? target.closest("[data-service]") : null;
  return at instanceof HTMLElement ? (at.dataset.service ?? "") : "";
}

/** @param {MouseEvent} event */
function onClick(event) {
  const target = /** @type {Element} */ (event.target);
  const name = nameOf(target);
  if (!name || target.closest("a, [data-dismiss]")) return;
  cursor.value = name;
  const box = target.closest(".c-check");
  // The click on a label comes again as one on its box.
  if (box && !(target instanceof HTMLInputElement)) return;
  if (!can("trigger")) return;
  if (event.shiftKey) {
    getSelection()?.removeAllRanges();
    range(name, order.peek());
    // The browser has turned the box already; it shows what is.
    if (box) /** @type {HTMLInputElement} */ (target).checked = selected.peek().has(name);
  } else if (box || event.ctrlKey || event.metaKey || target.closest(".tile")) toggle(name);
}

/** @param {MouseEvent} event */
function onDoubleClick(event) {
  const name = nameOf(event.target);
  if (name && dense.peek()) go(`/services/${name}`);
}

/** Where the keyboard is, if that is shown. */
const shownCursor = () => (cursorLine.peek() >= 0 ? cursor.peek() : "");

/** @param {(name: string) => void} act */
const atCursor = (act) => () => {
  if (shownCursor()) act(shownCursor());
};

/** @param {import("/lib/types.js").Command} command */
const onSelection = (command) => () => {
  const names = selected.peek().size ? [...selected.peek()] : [shownCursor()].filter(Boolean);
  if (can("trigger") && live.peek().live) begin(command, names);
};

const tagSelection = () => {
  const names = selected.peek().size ? [...selected.peek()] : [shownCursor()].filter(Boolean);
  if (names.length && can("tag") && live.peek().live) tag(names);
};

/** Selects the group in which the keyboard is. */
const selectGroup = atCursor(() => {
  const heads = shownLines.peek().slice(0, cursorLine.peek() + 1).filter((line) => line.group);
  const names = heads.at(-1)?.group?.services.map((service) => service.name);
  if (names && can("trigger")) selectAll(names);
});

/** @param {number} by */
const extend = (by) => () => {
  const from = shownCursor();
  if (can("trigger") && from && !selected.peek().has(from)) toggle(from, true);
  move(by);
  if (can("trigger") && shownCursor()) toggle(shownCursor(), true);
};

/** How many rows a page is. */
const page = () => Math.max(1, Math.floor(innerHeight / 34) - 8) * Math.max(1, perLine.peek());

const check = atCursor((name) => can("trigger") && toggle(name));

/** @type {Record<string, (event: KeyboardEvent) => void>} */
const KEYS = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => move(perLine.peek() || 1),
  k: () => move(-(perLine.peek() || 1)),
  ArrowDown: () => move(perLine.peek() || 1),
  ArrowUp: () => move(-(perLine.peek() || 1)),
  "Shift-ArrowDown": extend(1),
  "Shift-ArrowUp": extend(-1),
  PageDown: () => move(page()),
  PageUp: () => move(-page()),
  Home: () => move(-Infinity),
  End: () => move(Infinity),
  x: check,
  X: selectGroup,
  t: tagSelection,
  " ": check,
  Enter: atCursor((name) => go(`/services/${name}`)),
  "Mod-a": () => can("trigger") && selectAll(order.peek()),
  d: () => setQuery({ dense: dense.peek() ? null : "1" }),
  S: onSelection("start"),
  T: onSelection("stop"),
  R: onSelection("restart"),
  K: onSelection("kill"),
};

/** Tiles lie beside each other; rows do not. @type {typeof KEYS} */
const TILE_KEYS = {
  ...KEYS,
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  h: () => move(-1),
  l: () => move(1),
};

/** A box for everything that is shown, how many that are, and the names of the columns where there are some. */
function Columns() {
  const box = useRef(/** @type {HTMLInputElement|null} */ (null));
  const names = order.value;
  const some = names.filter((name) => selected.value.has(name)).length;
  useEffect(() => {
    if (box.current) box.current.indeterminate = some > 0 && some < names.length;
  }, [some, names.length]);
  const many = `${names.length.toLocaleString("en")} ${names.length === 1 ? "service" : "services"}`;
  const onChange = () => selectAll(names, some < names.length);
  return html`<div class="columns" role="row" aria-rowindex="1">
    <div role="columnheader" class="c-check">
      ${!can("trigger") ? html`<span class="hidden">Selection</span>` : html`<label title="All that are shown (Ctrl-A)"><input ref=${box} type="checkbox" checked=${some === names.length} onChange=${onChange} aria-label="Select all ${many} shown" data-check-all /></label>`}
    </div>
    <div role="columnheader" class="c-name" data-shown=${names.length}>${many}</div>
    ${!dense.value &&
    !narrow.value &&
    html`<div role="columnheader" class="c-machine">Machine</div>
      <div role="columnheader" class="c-state">${live.value.live ? "State" : "State (last known)"}</div>
      <div role="columnheader" class="c-since">Since</div>
      <div role="columnheader" class="c-ports">Ports</div>
      <div role="columnheader" class="c-tags">Tags</div>
      <div role="columnheader" class="c-remarks">Remarks</div>`}
  </div>`;
}

function List() {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const lines = shownLines.value;
  const all = services.value;
  const here = cursorLine.value;
  cursor.value;
  useEffect(() => {
    if (!ref.current) return undefined;
    const sizes = new ResizeObserver(([entry]) => {
      width.value = Math.floor(entry.contentRect.width);
    });
    sizes.observe(ref.current);
    return () => sizes.disconnect();
  }, []);
  // The cursor may come back to where it was: it is looked at each time this is drawn.
  useLayoutEffect(() => {
    if (here < 0 || !focusing.reveal) return;
    focusing.reveal = false;
    const box = ref.current?.querySelector(".virtual");
    const top = lines.slice(0, here).reduce((sum, line) => sum + line.height, 0);
    if (box) reveal(box, top, lines[here].height);
  });
  useEffect(() => {
    if (here < 0 || !focusing.wanted) return;
    focusing.wanted = false;
    const place = ref.current?.querySelector(`[data-service="${CSS.escape(cursor.peek())}"]`);
    if (place instanceof HTMLElement) place.focus({ preventScroll: true });
  });
  const draw = (/** @type {any} */ line, /** @type {number} */ index) => {
    const place = { top: line.top, height: line.height, index };
    if (line.kind === "group") return html`<${GroupHead} key=${line.key} group=${line.group} ...${place} />`;
    if (line.kind === "tiles") return html`<${Tiles} key=${line.key} names=${line.names} all=${all} perLine=${perLine.value} ...${place} />`;
    return html`<${Row} key=${line.key} name=${line.name} held=${all.get(line.name)} ...${place} />`;
  };
  const attributes = { role: "rowgroup", "data-list": "", onClick, onDblClick: onDoubleClick };
  const grid = {
    role: "grid",
    "aria-label": "Services",
    // The names of the columns are a row, too.
    "aria-rowcount": lines.length + 1,
    "aria-multiselectable": can("trigger") ? "true" : null,
  };
  // A line of tiles is many at once.
  const beyond = perLine.value ? Math.max(1, Math.floor(12 / perLine.value)) : undefined;
  return html`<div ref=${ref} class="list by-${grouping.value}${dense.value ? " dense" : ""}${can("trigger") ? "" : " read-only"}" ...${lines.length > 0 ? grid : {}}>
    ${lines.length > 0 && html`<${Columns} /><${Virtual} lines=${lines} keep=${here} beyond=${beyond} render=${draw} attributes=${attributes} />`}
  </div>`;
}

function Nothing() {
  if (shownLines.value.length) return null;
  if (filtered.value && services.value.size) {
    return html`<${Empty} id="nothing"><p>No service matches, of ${services.value.size}.</p><button type="button" onClick=${showAll}>Show all</button><//>`;
  }
  const how = can("manage") ? html`Make a join token under <a href="#/machines">Machines</a>; start an agent with it.` : "An admin makes a join token under Machines, and starts an agent with it.";
  return html`<${Empty} id="empty"><p><b>No services yet.</b></p><p>${how}</p><//>`;
}

/** Keeps the height of what sticks to the top known to the styles. */
function useTopHeight() {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  useEffect(() => {
    if (!ref.current) return undefined;
    const root = document.documentElement;
    const sizes = new ResizeObserver(([entry]) => root.style.setProperty("--bar", `${Math.ceil(entry.borderBoxSize[0].blockSize)}px`));
    sizes.observe(ref.current);
    return () => {
      sizes.disconnect();
      root.style.removeProperty("--bar");
    };
  }, []);
  return ref;
}

export default function Grid() {
  const top = useTopHeight();
  useEffect(() => {
    viewKeys.value = dense.value ? TILE_KEYS : KEYS;
    return () => {
      viewKeys.value = {};
    };
  }, [dense.value]);
  return html`<div id="board">
    <h1 class="hidden">Grid</h1>
    <div class="bar" ref=${top}>
      <${Counts} />
      <${SearchBox} />
      <${Choices} />
    </div>
    <${Results} />
    <${List} />
    <${Nothing} />
    <${ActionBar} />
  </div>`;
}

// A service as a row, as a tile; and the head of a group.

/** @typedef {{held: Signal<Service>|undefined, name: string}} Held */

/** How outcomes are told. */
const OUTCOMES = {
  pending: "sent…",
  done: "done",
  ignored: "ignored",
  refused: "refused",
  failed: "failed",
  not_available: "not sent",
  unknown: "unknown",
  planned: "planned",
};

/**
 * What rows and tiles share: whether it is selected, and whether the keyboard is there.
 * @param {string} name
 */
function usePlace(name) {
  const here = useComputed(() => cursor.value === name);
  const chosen = useComputed(() => selected.value.has(name));
  return { here: here.value, chosen: chosen.value };
}

/**
 * What is worth reading about a service beside its state.
 * @param {Service} service
 */
export function remarks(service) {
  const parts = [];
  if (crashed(service) && service.last_exit) parts.push(service.last_exit.how);
  if (service.reason) parts.push(service.reason);
  return [...parts, ...(service.notes ?? [])].join("; ");
}

/** @param {{name: string, told: import("/lib/types.js").Outcome}} props */
function Outcome({ name, told: { action, outcome, message, at } }) {
  const done = outcome !== "pending";
  const time = done ? new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : "";
  return html`<span class="told o-${outcome}" title=${message}>
    <span><b>${action}: ${OUTCOMES[outcome] ?? outcome}</b>${time && ` ${time}`}${outcome !== "done" && done && message && ` – ${message}`}</span>
    ${done && html`<button type="button" class="icon" tabindex="-1" data-dismiss aria-label="Dismiss: ${action} ${name}" onClick=${() => dismiss([name])}>✕</button>`}
  </span>`;
}

/** @param {Service} service */
function since(service) {
  const heard = service.state === "not_available" ? machines.peek().get(service.machine)?.value.last_heard : null;
  return heard ? html`<span class="heard"><span>heard </span>${Time({ at: heard, coarse: true, suffix: " ago" })}</span>` : Time({ at: service.since });
}

/**
 * A row's frame: what changes when it moves.
 * @param {Held & {top: number, height: number, index: number}} props
 */
export function Row({ held, name, top, height, index }) {
  const { here, chosen } = usePlace(name);
  const service = held?.value;
  if (!service) return null;
  const acts = can("trigger");
  return html`<div
    role="row"
    class="row s-${shownState(service)}"
    style=${{ top: `${top}px`, height: `${height}px` }}
    tabindex=${here ? 0 : -1}
    aria-rowindex=${index + 2}
    aria-selected=${acts ? chosen : null}
    data-service=${name}
    data-state=${service.state}
    data-crashed=${crashed(service) ? "yes" : "no"}
    data-cursor=${here ? "yes" : null}
  >
    <${Cells} service=${service} here=${here} acts=${acts} chosen=${chosen} />
  </div>`;
}

/**
 * What a row says. Few components and signals: a window full of them is built at once when one scrolls.
 * @param {{service: Service, here: boolean, acts: boolean, chosen: boolean}} props
 */
function Cells({ service, here, acts, chosen }) {
  const { name, machine, state } = service;
  const told = useComputed(() => outcomes.value.get(name)).value;
  const claim = useComputed(() => claims.value.get(name)?.operation ?? "").value;
  const reach = here ? 0 : -1;
  const note = remarks(service);
  const was = service.last_state ? ` (was ${service.last_state.replace("_", " ")})` : "";
  return html`
    <div role="gridcell" class="c-check">
      ${acts && html`<label><input type="checkbox" checked=${chosen} tabindex=${reach} data-check aria-label="Select ${name}" /></label>`}
    </div>
    <div role="rowheader" class="c-name"><a href=${href(`/services/${name}`)} tabindex=${reach} title=${name}>${name}</a></div>
    <div role="gridcell" class="c-machine" title=${machine}>${machine}</div>
    <div role="gridcell" class="c-state">${StateMark({ state, crashed: crashed(service), children: was })}</div>
    <div role="gridcell" class="c-since">${since(service)}</div>
    <div role="gridcell" class="c-ports">${(service.ports ?? []).join(", ")}</div>
    <div role="gridcell" class="c-tags">${(service.tags ?? []).map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}</div>
    <div role="gridcell" class="c-remarks">${claim && html`<a class="told held" href=${href(`/operations/${claim}`)} tabindex=${reach} title="Held by an operation">${underWay.peek().get(claim)?.command ?? "operation"}…</a>`}${told && html`<${Outcome} name=${name} told=${told} />`}<span title=${note}>${note}</span></div>`;
}

/** @param {Held} props */
function Tile({ held, name }) {
  const { here, chosen } = usePlace(name);
  const outcome = useComputed(() => outcomes.value.get(name)?.outcome ?? "");
  const service = held?.value;
  if (!service) return null;
  const shown = shownState(service);
  const short = grouping.value === "machine" ? name.replace(`@${service.machine}`, "") : name;
  const note = remarks(service);
  const label = `${name}: ${live.value.live ? "" : "last known: "}${stateWord(shown)}${note ? `; ${note}` : ""}`;
  return html`<div
    role="gridcell"
    class="tile s-${shown}"
    tabindex=${here ? 0 : -1}
    aria-selected=${can("trigger") ? chosen : null}
    aria-label=${label}
    title=${label}
    data-service=${name}
    data-state=${service.state}
    data-crashed=${shown === "crashed" ? "yes" : "no"}
    data-outcome=${outcome}
    data-cursor=${here ? "yes" : null}
  >
    <${Shape} state=${shown} /><span>${short}</span>
  </div>`;
}

/**
 * A line of tiles.
 * @param {{names: string[], all: Map<string, Signal<Service>>, top: number, height: number, index: number, perLine: number}} props
 */
export function Tiles({ names, all, top, height, index, perLine }) {
  const style = { top: `${top}px`, height: `${height}px`, gridTemplateColumns: `repeat(${perLine}, minmax(0, 1fr))` };
  return html`<div role="row" class="tiles" aria-rowindex=${index + 2} style=${style}>
    ${names.map((name) => html`<${Tile} key=${name} name=${name} held=${all.get(name)} />`)}
  </div>`;
}

/**
 * The head of a group: its name, how many of each state, and a box that selects it.
 * @param {{group: import("/lib/types.js").Group, top: number, height: number, index: number}} props
 */
export function GroupHead({ group, top, height, index }) {
  const box = useRef(/** @type {HTMLInputElement|null} */ (null));
  const names = group.services.map((service) => service.name);
  const some = names.filter((name) => selected.value.has(name)).length;
  useEffect(() => {
    if (box.current) box.current.indeterminate = some > 0 && some < names.length;
  }, [some, names.length]);
  const onChange = () => selectAll(names, some < names.length);
  const kind = grouping.value;
  const title = kind === "state" ? stateWord(/** @type {any} */ (group.title)) : group.title || `no ${kind}`;
  const rollUp = WORST_FIRST.filter((state) => group.counts[state]);
  const many = names.length === 1 ? "service" : "services";
  return html`<div role="row" class="group" aria-rowindex=${index + 2} style=${{ top: `${top}px`, height: `${height}px` }}>
    <div role="gridcell" class="head">
      ${can("trigger") &&
      html`<label><input ref=${box} type="checkbox" tabindex=${index === 0 ? 0 : -1} checked=${some === names.length} onChange=${onChange} aria-label="Select the ${names.length} ${many} of ${title}" /></label>`}
      <b>${kind === "tag" && group.title ? "#" : ""}${title}</b>
      <span class="quiet">${names.length}</span>
      <span class="roll-up">
        ${rollUp.map((state) => html`<span key=${state} class="s-${state}" title="${group.counts[state]} ${stateWord(state)}"><${Shape} state=${state} />${group.counts[state]}<span class="hidden"> ${stateWord(state)}</span></span>`)}
      </span>
      ${kind === "machine" && html`<${MachineWord} name=${group.title} />`}
    </div>
  </div>`;
}

/** @param {{name: string}} props */
function MachineWord({ name }) {
  const machine = machines.value.get(name)?.value;
  if (!machine || machine.connected) return null;
  return html`<span class="away">${machine.revoked_at ? "revoked" : machine.last_heard ? html`not heard from for <${Time} at=${machine.last_heard} />` : "never heard from"}</span>`;
}
