// States: a colour, a shape and a word each, everywhere the same.

import { html } from "/lib/html.js";

/** @import { Service, State } from "/lib/types.js" */
/** @typedef {State|"crashed"} Shown a state as it is shown: a stop that nobody wanted is one of its own */

/** What is shown, the worst first.
 * @type {Shown[]} */
export const WORST_FIRST = ["unresponsive", "crashed", "not_available", "stopping", "starting", "stopped", "active"];

/** What somebody should look at. */
export const PROBLEMS = new Set(["unresponsive", "crashed", "not_available"]);

/** @type {Record<Shown, string>} */
const WORDS = {
  active: "active",
  starting: "starting",
  stopping: "stopping",
  unresponsive: "unresponsive",
  stopped: "stopped",
  crashed: "stopped (crashed)",
  not_available: "not available",
};

/** The shapes, in a box of 16 by 16.
 * @type {Record<Shown, any>} */
const SHAPES = {
  active: html`<circle cx="8" cy="8" r="5.5" />`,
  starting: html`<circle cx="8" cy="8" r="5" class="line" /><path d="M8 3a5 5 0 0 0 0 10z" />`,
  stopping: html`<circle cx="8" cy="8" r="5" class="line" /><path d="M8 3a5 5 0 0 1 0 10z" />`,
  unresponsive: html`<path d="M8 1.5 15 14H1z" />`,
  stopped: html`<circle cx="8" cy="8" r="5" class="line" />`,
  crashed: html`<path d="m3.5 3.5 9 9m0-9-9 9" class="line thick" />`,
  not_available: html`<path d="M5.2 6a2.8 2.8 0 1 1 4.3 2.4C8.3 9.2 8 9.6 8 10.6M8 13v.6" class="line thick" />`,
};

/**
 * Whether a service is stopped and nobody wanted that.
 * @param {Service} service
 */
export function crashed(service) {
  return service.state === "stopped" && !!service.last_exit && !service.last_exit.wanted;
}

/**
 * A service's state as it is shown.
 * @param {Service} service
 * @returns {Shown}
 */
export function shownState(service) {
  return crashed(service) ? "crashed" : service.state;
}

/**
 * A state in words.
 * @param {Shown} state
 */
export function stateWord(state) {
  return WORDS[state] ?? state;
}

/**
 * The shape alone; a word must stand beside it or be its label.
 * @param {{state: Shown}} props
 */
export function Shape({ state }) {
  return html`<svg class="shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">${SHAPES[state]}</svg>`;
}

/**
 * A state: colour, shape and word.
 * @param {{state: State|"crashed", crashed?: boolean, children?: any}} props
 */
export function StateMark({ state, crashed: died = false, children }) {
  const shown = died ? "crashed" : state;
  return html`<span class="state s-${shown}">${Shape({ state: shown })}<span class="word">${stateWord(shown)}${children}</span></span>`;
}
