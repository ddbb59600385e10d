// What views are made of: their frame, tables, names that lead somewhere, times; forms, and secrets that are shown once.

import { loggedOut } from "/lib/api.js";
import { computed, html, useEffect, useId, useRef, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { services } from "/lib/store.js";
import { now } from "/lib/time.js";
import { Copy, ProblemNote } from "/components/dialog.js";
import { shownState, StateMark } from "/components/state.js";

/** @import { Column, Secrets } from "/lib/types.js" */

/**
 * @param {{title: any, about?: any, actions?: any, class?: string, children?: any}} props
 */
export function Page({ title, about, actions, class: extra = "", children }) {
  return html`<div class=${`view ${extra}`}>
    <header class="view-head">
      <div><h1 tabindex="-1">${title}</h1>${about && html`<p class="about">${about}</p>`}</div>
      ${actions && html`<div class="view-actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

/** Puts the focus on the button that opened a form, when the form is closed. */
export const focusOpener = () => focusHeading(".view-actions button");

/** How long a list may take to be drawn without what was removed, in milliseconds. */
const DRAWN = 300;

/**
 * Puts the focus on a heading, when what had it was taken away.
 * @param {string} [selector]
 */
export function focusHeading(selector = ".view h1") {
  const focus = () => /** @type {HTMLElement|null} */ (document.querySelector(selector))?.focus();
  // A dialog that closes gives the focus back to its button first.
  requestAnimationFrame(() => setTimeout(focus));
  setTimeout(() => {
    if (document.activeElement === document.body) focus();
  }, DRAWN);
}

// Tables that become cards where there is no room for columns.

/**
 * A table. The roles are written out, because some browsers forget them when tables are laid out as cards.
 * @template T
 * @param {{caption: string, columns: Column<T>[], rows: T[], keyOf: (row: T) => string, rowProps?: (row: T) => object}} props
 */
export function Table({ caption, columns, rows, keyOf, rowProps = () => ({}) }) {
  return html`<table class="sheet" role="table">
    <caption class="only-read">${caption}</caption>
    <thead role="rowgroup">
      <tr role="row">${columns.map((column) => html`<th key=${column.label} scope="col" role="columnheader" class=${column.class}>${column.label}</th>`)}</tr>
    </thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr key=${keyOf(row)} role="row" ...${rowProps(row)}>${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
  </table>`;
}

/**
 * @template T
 * @param {Column<T>} column
 * @param {T} row
 */
function cell(column, row) {
  const content = column.cell(row);
  const empty = content === null || content === undefined || content === "" || content === false;
  const classes = [column.class, empty ? "blank" : ""].filter(Boolean).join(" ") || undefined;
  const label = column.quiet || column.head ? undefined : column.label;
  return column.head
    ? html`<th key=${column.label} scope="row" role="rowheader" class=${classes}>${content}</th>`
    : html`<td key=${column.label} role="cell" class=${classes} data-label=${label}><div>${content}</div></td>`;
}

/**
 * What stands around a list: its problem, that it is loading, that there is nothing, the way to more.
 * @param {{list: import("/lib/types.js").List<any>, empty: any, children: any, what: string, filtered?: boolean}} props
 *   `filtered`: whether the view has filters to narrow the list with
 */
export function Listing({ list, empty, children, what, filtered = false }) {
  const { items, next, full, busy, loaded, problem } = list;
  return html`
    ${problem.value && html`<${ProblemNote} problem=${problem.value} /><p><button type="button" onClick=${list.reload}>Try again</button></p>`}
    ${!loaded.value && busy.value && html`<p class="quiet" role="status">Loading ${what}…</p>`}
    ${loaded.value && (items.value.length ? children : html`<p class="nothing">${next.value ? `No ${what} in the part that was searched.` : empty}</p>`)}
    ${loaded.value && next.value && html`<p class="more"><button type="button" disabled=${busy.value} onClick=${list.more}>${busy.value ? "Loading…" : `Show more ${what}`}</button></p>`}
    ${loaded.value && full.value && html`<p class="more quiet" role="status">The first ${items.value.length.toLocaleString("en")} ${what} are shown, and there are more.${filtered && " Narrow them with the filters."}</p>`}
  `;
}

// Names that lead somewhere.

/** @param {{name: string}} props */
export const ServiceLink = ({ name }) => html`<a class="name" href=${href(`/services/${name}`)}>${name}</a>`;

/** @param {{name: string}} props */
export const MachineLink = ({ name }) => html`<a class="name" href=${href("/machines", { machine: name })}>${name}</a>`;

/**
 * Tags, each a link to what carries it.
 * @param {{tags: string[]|undefined}} props
 */
export const Tags = ({ tags = [] }) =>
  tags.length > 0 && html`<ul class="tags" role="list" aria-label="Tags">${tags.map((tag) => html`<li key=${tag}><a class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a></li>`)}</ul>`;

/**
 * The state of a service that is known by its name.
 * @param {{name: string}} props
 */
export function StateOf({ name }) {
  const service = services.value.get(name)?.value;
  return service ? html`<${StateMark} state=${shownState(service)} />` : html`<span class="quiet">unknown</span>`;
}

// A clock for tables: what is shown in minutes need not be drawn each second.

/** The manager's time in milliseconds since 1970, in steps of 10 s. */
export const steps = computed(() => Math.floor(now.value / 10_000) * 10_000);

// Lengths of time that are chosen, and times to come. Pure.

const HOUR = 3600;
const DAY = 24 * HOUR;

/** How long join tokens may live: seconds and words. @type {[string, string][]} */
export const JOIN_SPANS = [
  [String(HOUR), "1 hour"],
  [String(8 * HOUR), "8 hours"],
  [String(DAY), "1 day"],
  [String(7 * DAY), "7 days"],
  [String(30 * DAY), "30 days"],
  [String(365 * DAY), "1 year"],
];

/** How long API tokens may live: seconds and words. @type {[string, string][]} */
export const API_SPANS = [
  [String(DAY), "1 day"],
  [String(7 * DAY), "7 days"],
  [String(30 * DAY), "30 days"],
  [String(90 * DAY), "90 days"],
  [String(365 * DAY), "1 year"],
  [String(3 * 365 * DAY), "3 years"],
];

/**
 * How far away a time is, roughly: `in 3 days`, `2 h ago`.
 * @param {string} at
 * @param {number} now in milliseconds since 1970
 */
export function roughly(at, now) {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  const size = Math.abs(seconds);
  const word = size < 60 ? "less than a minute" : size < HOUR ? `${Math.round(size / 60)} min` : size < 2 * DAY ? `${Math.round(size / HOUR)} h` : `${Math.round(size / DAY)} days`;
  return seconds >= 0 ? `in ${word}` : `${word} ago`;
}

/**
 * Whether a token may be used now, in a word.
 * @param {import("/lib/types.js").Token} token
 * @param {number} now in milliseconds since 1970
 * @returns {"good" | "revoked" | "expired" | "used up"}
 */
export function tokenState(token, now) {
  if (token.revoked_at) return "revoked";
  if (Date.parse(token.expires_at) <= now) return "expired";
  if (token.max_uses != null && (token.uses ?? 0) >= token.max_uses) return "used up";
  return "good";
}

// Whether there is room for columns.

/** From this width on; the same as in the styles. */
const WIDE = matchMedia("(min-width: 60rem)");

/** Whether the window is wide; what asks is drawn again when that changes. */
export function useWide() {
  const wide = useSignal(WIDE.matches);
  useEffect(() => {
    const change = () => {
      wide.value = WIDE.matches;
    };
    WIDE.addEventListener("change", change);
    return () => WIDE.removeEventListener("change", change);
  }, []);
  return wide.value;
}

// Forms: fields with a label and a hint, filters that addresses hold, and secrets that are shown once.

/**
 * A field with its label.
 * @param {{label: string, hint?: any, children?: any, class?: string, input: (attributes: {id: string, "aria-describedby"?: string}) => any}} props
 */
export function Field({ label, hint, input, class: extra = "" }) {
  const id = useId();
  return html`<div class=${`field ${extra}`}>
    <label for=${id}>${label}</label>
    ${input({ id, ...(hint ? { "aria-describedby": `${id}-hint` } : {}) })}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/**
 * A line of text. Other attributes go to the input.
 * @param {{label: string, hint?: any, class?: string, [attribute: string]: any}} props
 */
export function Text({ label, hint, class: extra, ...attributes }) {
  const input = (/** @type {object} */ own) => html`<input autocomplete="off" spellcheck=${false} ...${attributes} ...${own} />`;
  return html`<${Field} label=${label} hint=${hint} class=${extra} input=${input} />`;
}

/** How long a pause in typing is, in milliseconds. */
const PAUSE = 300;

/**
 * A line of text that filters while it is typed: `onValue` is called after a pause, and on Enter at once.
 * @param {{label: string, value: string, onValue: (value: string) => void, [attribute: string]: any}} props
 */
export function Filter({ value, onValue, ...attributes }) {
  const text = useSignal(value);
  const timer = useRef(0);
  useEffect(() => {
    text.value = value;
    return () => clearTimeout(timer.current);
  }, [value]);
  const send = () => {
    clearTimeout(timer.current);
    if (text.peek().trim() !== value) onValue(text.peek().trim());
  };
  const onInput = (/** @type {any} */ event) => {
    text.value = event.currentTarget.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(send, PAUSE);
  };
  return html`<${Text} ...${attributes} value=${text.value} onInput=${onInput} onChange=${send} />`;
}

/**
 * One of several. A value that is none of them, as a link may hold, is offered too: what is asked for is shown.
 * @param {{label: string, hint?: any, class?: string, options: [string, string][], value?: string, [attribute: string]: any}} props
 */
export function Choice({ label, hint, class: extra, options, value, ...attributes }) {
  const known = !value || options.some(([key]) => key === value);
  const all = known ? options : [...options, /** @type {[string, string]} */ ([value, value])];
  const input = (/** @type {object} */ own) =>
    html`<select ...${attributes} ...${own}>${all.map(([key, word]) => html`<option key=${key} value=${key} selected=${key === value}>${word}</option>`)}</select>`;
  return html`<${Field} label=${label} hint=${hint} class=${extra} input=${input} />`;
}

/**
 * For a form that appears when it is asked for: its first field has the focus then.
 * @returns {{current: HTMLFormElement | null}} the form's `ref`
 */
export function useFirstField() {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  useEffect(() => /** @type {HTMLElement | null | undefined} */ (form.current?.querySelector("input, select"))?.focus(), []);
  return form;
}

/**
 * The end of a form: the problem of its last try, and its button.
 * @param {{act: import("/lib/types.js").Act, label: string, children?: any}} props
 */
export function Submit({ act, label, children }) {
  return html`<div class="submit">
    ${act.problem.value && html`<${ProblemNote} problem=${act.problem.value} />`}
    <button type="submit" class="primary" aria-disabled=${act.busy.value ? "true" : null}>${act.busy.value ? "One moment…" : label}</button>
    ${children}
  </div>`;
}

/**
 * What a form holds, by the names of its fields, without blanks around it. Passwords are taken as they are.
 * @param {SubmitEvent} event
 * @returns {Record<string, string>}
 */
export function valuesOf(event) {
  event.preventDefault();
  const data = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
  const exact = /password|^old$|^new$|^again$/;
  return Object.fromEntries([...data].map(([key, value]) => [key, exact.test(key) ? String(value) : String(value).trim()]));
}

// Secrets that are shown once.

/**
 * Calls when the session has ended: who logs in next may be somebody else.
 * @param {() => void} work
 */
export function useLoggedOut(work) {
  useEffect(() => {
    const before = loggedOut.peek();
    return loggedOut.subscribe((times) => {
      if (times !== before) work();
    });
  }, []);
}

/**
 * Shows secrets, each until it is hidden, at most until the session ends.
 * @template T
 * @returns {Secrets<T>}
 */
export function useSecrets() {
  const shown = useSignal(/** @type {T[]} */ ([]));
  useLoggedOut(() => {
    shown.value = [];
  });
  return {
    all: shown.value,
    add: (secret) => {
      shown.value = [secret, ...shown.peek()];
    },
    hide: (secret) => {
      shown.value = shown.peek().filter((other) => other !== secret);
    },
  };
}

/**
 * A secret with its button to copy it; takes the focus when it appears, because it will not be shown again.
 * @param {{title: string, label: string, secret: string, onDone: () => void, children?: any}} props
 */
export function Secret({ title, label, secret, onDone, children }) {
  const heading = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => heading.current?.focus(), [secret]);
  return html`<section class="secret" aria-label=${title}>
    <h2 tabindex="-1" ref=${heading}>${title}</h2>
    <p class="hint">It is shown this once: copy it now.</p>
    <${Copy} text=${secret} label=${label} secret />
    ${children}
    <p><button type="button" onClick=${onDone}>Done, hide it</button></p>
  </section>`;
}

// The filters of the audit, as addresses hold them. Pure.

/** What the manager can filter records by. */
const KEYS = ["actor", "action", "outcome", "subject"];

/**
 * The path of the records that fit.
 * @param {URLSearchParams} query of the view's address
 * @param {number} limit
 */
export function auditPath(query, limit) {
  const asked = new URLSearchParams({ limit: String(limit) });
  for (const key of KEYS) {
    const value = query.get(key);
    if (value) asked.set(key, value);
  }
  for (const key of ["since", "until"]) {
    const at = Date.parse(query.get(key) ?? "");
    if (!Number.isNaN(at)) asked.set(key, new Date(at).toISOString());
  }
  return `/audit?${asked}`;
}

/**
 * A time as an input of the local zone takes it; nothing if it is none.
 * @param {string} text
 */
export function localMinute(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  const date = new Date(at);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/**
 * A time of the local zone as addresses hold it, so that a link means the same everywhere.
 * @param {string} text
 */
export function moment(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? "" : new Date(at).toISOString();
}
