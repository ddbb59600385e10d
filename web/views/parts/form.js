// Fields of forms: a label, what is asked for, and a hint that is read with it.

import { html, useEffect, useId, useRef, useSignal } from "/lib/html.js";
import { ProblemNote } from "/components/toast.js";

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
 * @param {{act: import("/views/parts/loading.js").Act, label: string, children?: any}} props
 */
export function Submit({ act, label, children }) {
  return html`<div class="submit">
    ${act.problem.value && html`<${ProblemNote} problem=${act.problem.value} />`}
    <button type="submit" class="primary" disabled=${act.busy.value}>${act.busy.value ? "One moment…" : label}</button>
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
