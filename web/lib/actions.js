// Triggers: plan, ask, act, and tell what became of it.

import { signal } from "/lib/html.js";

/** @import { Action, TriggerResult } from "/lib/types.js" */

/** What became of the last trigger on each service, until it is dismissed.
 * @type {import("/lib/html.js").Signal<Map<string, TriggerResult & {action: Action}>>} */
export const outcomes = signal(new Map());

/**
 * Plans, asks, and triggers services by name. Resolves when it is over, or was not confirmed.
 * @param {Action} action
 * @param {string[]} names
 * @returns {Promise<void>}
 */
export async function trigger(action, names) {
  console.debug(action, names);
}

/**
 * Asks for tags to add and remove, and changes them.
 * @param {string[]} names of services
 * @returns {Promise<void>}
 */
export async function tag(names) {
  console.debug(names);
}
