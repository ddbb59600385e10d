// How far a step or an operation is: colour, shape and word, as the states of services are shown.

import { html } from "/lib/html.js";
import { Shape } from "/components/state.js";

/** @import { Operation, StepState } from "/lib/types.js" */
/** @typedef {StepState|"cancelling"|"interrupted"|"ended"} Told */

/** @type {Record<string, import("/components/state.js").Shown>} */
const LIKE = { done: "active", running: "starting", cancelling: "stopping", interrupted: "unresponsive", not_available: "not_available", planned: "stopped", ignored: "stopped", skipped: "stopped", cancelled: "stopped", superseded: "stopped" };

/** @type {Record<string, string>} */
const WORDS = { ignored: "not needed", conflict: "held by another", skipped: "not begun", vetoed: "stopped by a hook", not_available: "not available" };

/**
 * In words.
 * @param {string} state
 */
export const toldAs = (state) => WORDS[state] ?? state.replace("_", " ");

/**
 * The state that colours it.
 * @param {string} state
 */
export const like = (state) => LIKE[state] ?? "crashed";

/**
 * Whether it ended, and what was asked for is not so.
 * @param {StepState} state
 */
export const isFailure = (state) => !["planned", "running", "done", "ignored", "skipped"].includes(state);

/**
 * How far an operation is, or how it ended.
 * @param {Operation} operation
 * @returns {Told}
 */
export const stateOf = ({ state, result }) => (state === "ended" ? (result ?? "ended") : state);

/** @param {{state: Told, children?: any}} props */
export const StepMark = ({ state, children }) => html`<span class="state s-${like(state)}"><${Shape} state=${like(state)} /><span class="word">${toldAs(state)}${children}</span></span>`;
