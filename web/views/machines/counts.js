// The instances of a machine, counted by state.

import { computed, html } from "/lib/html.js";
import { href } from "/lib/router.js";
import { services } from "/lib/store.js";
import { Shape, WORST_FIRST, shownState, stateWord } from "/components/state.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Service } from "/lib/types.js" */

/** The instances of each machine. A service never moves to another. */
const instances = computed(() => {
  /** @type {Map<string, Signal<Service>[]>} */
  const all = new Map();
  for (const held of services.value.values()) {
    const { machine, type } = held.peek();
    if (type !== "instance") continue;
    const known = all.get(machine);
    if (known) known.push(held);
    else all.set(machine, [held]);
  }
  return all;
});

/**
 * The names of the instances of a machine.
 * @param {string} machine
 */
export const instancesOf = (machine) => (instances.value.get(machine) ?? []).map((held) => held.peek().name);

/**
 * How many instances of a machine are in which state; only this is drawn again when one of them changes.
 * @param {{machine: string}} props
 */
export function Counts({ machine }) {
  const states = (instances.value.get(machine) ?? []).map((held) => shownState(held.value));
  if (!states.length) return html`<span class="quiet">none</span>`;
  const counts = WORST_FIRST.map((state) => /** @type {const} */ ([state, states.filter((other) => other === state).length])).filter(([, count]) => count);
  return html`<ul class="counts" role="list">${counts.map(([state, count]) => html`<li key=${state}>
    <a class=${`s-${state}`} href=${href("/", { q: `machine:${machine}`, state })} title=${`${count} ${stateWord(state)}`}><${Shape} state=${state} />${count}<span class="only-read"> ${stateWord(state)}</span></a>
  </li>`)}</ul>`;
}
