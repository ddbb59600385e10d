// Short news at the edge of the window, and the notes and empty places of views.

import { html, signal } from "/lib/html.js";
import { onForget } from "/lib/store.js";

/** How long good news stays, in milliseconds. Bad news stays until it is closed. */
const STAY = 6000;

/** The most that are shown at once. */
const MOST = 4;

/** @typedef {{id: number, text: string, kind: "info"|"good"|"bad", action?: {label: string, run: () => void}}} News */

/** @type {import("/lib/html.js").Signal<News[]>} */
const shown = signal([]);
let next = 0;

onForget(() => {
  shown.value = [];
});

/**
 * Takes a text away.
 * @param {number} id what {@link toast} answered
 */
export function close(id) {
  shown.value = shown.value.filter((news) => news.id !== id);
}

/**
 * Shows a short text.
 * @param {string} text
 * @param {"info"|"good"|"bad"} [kind]
 * @param {{label: string, run: () => void}} [action] a button beside it
 */
export function toast(text, kind = "info", action) {
  const id = next++;
  shown.value = [...shown.value.slice(1 - MOST), { id, text, kind, action }];
  if (kind !== "bad") setTimeout(() => close(id), STAY);
  return id;
}

/** Where the texts appear; the shell has one. */
export function Toasts() {
  const line = (/** @type {News} */ { id, text, kind, action }) => {
    const act = () => {
      close(id);
      action?.run();
    };
    return html`<div key=${id} class=${`toast ${kind}`}>
      <span>${text}</span>
      ${action && html`<button type="button" class="link" onClick=${act}>${action.label}</button>`}
      <button type="button" class="icon" aria-label="Dismiss" onClick=${() => close(id)}>✕</button>
    </div>`;
  };
  const bad = shown.value.filter((news) => news.kind === "bad");
  const rest = shown.value.filter((news) => news.kind !== "bad");
  // Each is read out once: the two do not lie in each other.
  return html`<div id="toasts"><div role="alert">${bad.map(line)}</div><div role="status">${rest.map(line)}</div></div>`;
}

/**
 * Says what went wrong, where it went wrong.
 * @param {{problem: any}} props a Problem, any error, or nothing
 */
export function ProblemNote({ problem }) {
  if (!problem) return null;
  const again = problem.retryAfter ? ` Try again in ${problem.retryAfter} s.` : "";
  return html`<p class="problem" role="alert">${problem.message}${again}</p>`;
}

/**
 * Says that there is nothing, and what to do.
 * @param {{id?: string, children?: any}} props
 */
export function Empty({ id, children }) {
  return html`<div class="empty" id=${id}>${children}</div>`;
}
