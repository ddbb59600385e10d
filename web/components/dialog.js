// Dialogs, short news at the edge of the window, notes, and texts that can be copied.

import { html, render, signal, useEffect, useId, useRef, useSignal } from "/lib/html.js";
import { onForget } from "/lib/store.js";

/** @import { Question } from "/lib/types.js" */

/** How long a dialog that comes late takes no key, in milliseconds. */
const DEAF = 400;

/**
 * A dialog that is open as long as it is rendered and `open` is not false. With `bare` it has no heading, but a label.
 * What has `data-first` gets the focus. One that comes `late`, after an answer was waited for, takes no key at first:
 * the key was meant for something else.
 * @param {{title: any, open?: boolean, late?: boolean, wide?: boolean, id?: string, bare?: boolean, label?: string, onClose: () => void, children?: any}} props
 */
export function Dialog({ title, open = true, late = false, wide = false, id, bare = false, label, onClose, children }) {
  const ref = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const heading = useId();
  const awake = useRef(true);
  useEffect(() => {
    const dialog = ref.current;
    if (!open || !dialog) return undefined;
    const before = document.activeElement;
    dialog.showModal();
    const first = dialog.querySelector("[data-first], [autofocus]");
    const begin = () => {
      awake.current = true;
      if (first instanceof HTMLElement) first.focus();
    };
    let timer = 0;
    if (late) {
      awake.current = false;
      dialog.focus();
      timer = setTimeout(begin, DEAF);
    } else begin();
    return () => {
      clearTimeout(timer);
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [open]);
  if (!open) return null;
  const onCancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    // A key that is still held from before confirms nothing.
    if (event.key !== "Escape" && (!awake.current || (late && event.repeat && /^( |Enter)$/.test(event.key)))) event.preventDefault();
  };
  const onOutside = (/** @type {PointerEvent} */ event) => {
    // A press beside what only helps closes it. A question stays: what was typed is not lost by a slip.
    if (bare && event.target === ref.current) onClose();
  };
  return html`<dialog ref=${ref} id=${id} tabindex=${late ? -1 : null} onKeyDownCapture=${onKey} class=${wide ? "wide" : ""} aria-labelledby=${bare ? null : heading} aria-label=${label} onCancel=${onCancel} onPointerDown=${onOutside}>
    ${!bare &&
    html`<header>
      <h2 id=${heading}>${title}</h2>
      <button type="button" class="icon" aria-label="Close" onClick=${onClose}>✕</button>
    </header>`}
    ${children}
  </dialog>`;
}

/** @type {import("/lib/html.js").Signal<(Question & {answer: (yes: boolean) => void})|null>} */
const asked = signal(null);

onForget(() => asked.peek()?.answer(false));

/**
 * Asks, and tells whether it was confirmed. A question that is open already stays, and this one is not asked.
 * @param {Question} question
 * @returns {Promise<boolean>}
 */
export function confirm(question) {
  if (asked.peek()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const answer = (/** @type {boolean} */ yes) => {
      asked.value = null;
      resolve(yes);
    };
    asked.value = { ...question, answer };
  });
}

/** Where questions appear; the shell has one. */
export function Questions() {
  const question = asked.value;
  return question && html`<${Asking} key=${question} ...${question} />`;
}

/**
 * Shows a dialog of one's own until it answers.
 * @template T
 * @param {(answer: (value: T) => void) => any} show
 * @returns {Promise<T>}
 */
export function ask(show) {
  const place = document.createElement("div");
  document.getElementById("shell")?.append(place);
  return new Promise((resolve) => {
    const answer = (/** @type {T} */ value) => {
      render(null, place);
      place.remove();
      resolve(value);
    };
    render(show(answer), place);
  });
}

/** @param {Question & {answer: (yes: boolean) => void}} props */
function Asking({ title, body, action, back = "Cancel", danger, typed, wide, answer }) {
  const text = useSignal("");
  const ready = !typed || text.value.trim() === typed;
  const onSubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (ready) answer(true);
  };
  const onInput = (/** @type {any} */ event) => {
    text.value = event.target.value;
  };
  return html`<${Dialog} title=${title} wide=${wide} late onClose=${() => answer(false)}>
    <form onSubmit=${onSubmit}>
      <div class="body">${body}</div>
      ${typed &&
      html`<label class="field"><span>Type <b>${typed}</b> to go on</span> <input autocomplete="off" data-first value=${text} onInput=${onInput} data-typed /></label>`}
      <footer>
        <button type="button" data-first=${!action || (danger && !typed) ? "" : null} onClick=${() => answer(false)}>${action ? back : "Close"}</button>
        ${action && html`<button type="submit" class=${danger ? "danger" : "primary"} disabled=${!ready} data-first=${!typed && !danger ? "" : null} data-confirm>${action}</button>`}
      </footer>
    </form>
  <//>`;
}

// Short news at the edge of the window, and the notes and empty places of views.

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

// A text with a button that copies it.

/**
 * @param {{text: string, label?: string, secret?: boolean}} props
 */
export function Copy({ text, label = "Copy", secret = false }) {
  const said = useSignal("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = "Copied";
    } catch {
      // Without the right to copy, the text is selected, and Ctrl-C does it.
      said.value = "Press Ctrl-C";
      const code = document.querySelector(`[data-copy="${CSS.escape(text)}"]`);
      if (code) getSelection()?.selectAllChildren(code);
    }
    setTimeout(() => {
      said.value = "";
    }, 3000);
  };
  return html`<span class="copy">
    <code data-copy=${text} data-secret=${secret ? "" : null} tabindex="0">${text}</code>
    <button type="button" onClick=${copy}>${said.value || label}</button>
    <span class="hidden" role="status">${said}</span>
  </span>`;
}
