// Which services are selected. A selection outlives filters, and what is gone leaves it.

import { effect, signal } from "/lib/html.js";
import { services } from "/lib/store.js";

/** The names. @type {import("/lib/html.js").Signal<Set<string>>} */
export const selected = signal(new Set());

/** Where a range begins. */
let anchor = "";

/**
 * Selects or unselects one.
 * @param {string} name
 * @param {boolean} [on]
 */
export function toggle(name, on = !selected.peek().has(name)) {
  const names = new Set(selected.peek());
  if (on) names.add(name);
  else names.delete(name);
  anchor = name;
  selected.value = names;
}

/**
 * Selects from where the last was selected to here.
 * @param {string} name
 * @param {string[]} order what is shown, from top to bottom
 */
export function range(name, order) {
  const [from, to] = [order.indexOf(anchor), order.indexOf(name)].sort((a, b) => a - b);
  if (from < 0) toggle(name, true);
  else selected.value = new Set([...selected.peek(), ...order.slice(from, to + 1)]);
}

/**
 * Selects or unselects many.
 * @param {string[]} names
 * @param {boolean} on
 */
export function selectAll(names, on = true) {
  const all = new Set(selected.peek());
  for (const name of names) {
    if (on) all.add(name);
    else all.delete(name);
  }
  selected.value = all;
}

/** Selects nothing. */
export function clear() {
  if (selected.peek().size) selected.value = new Set();
}

effect(() => {
  const known = services.value;
  const names = [...selected.peek()];
  const left = names.filter((name) => known.has(name));
  if (left.length < names.length) selected.value = new Set(left);
});
