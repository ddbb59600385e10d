// Which names come nearest to one that is not there. Pure.

import { distance } from "/lib/search.js";

/** The longest name that is compared. */
const LONGEST = 64;

/**
 * At most five names that are like one, the nearest first.
 * @param {string} name
 * @param {string[]} names
 */
export function nearest(name, names) {
  const asked = name.toLowerCase().slice(0, LONGEST);
  if (!asked) return [];
  const far = (/** @type {string} */ other) => {
    const known = other.toLowerCase().slice(0, LONGEST);
    return known.includes(asked) || asked.includes(known) ? 0 : distance(asked, known);
  };
  const most = Math.max(2, Math.floor(asked.length / 3));
  const near = names.map((other) => /** @type {const} */ ([far(other), other])).filter(([steps]) => steps <= most);
  return near.sort((a, b) => a[0] - b[0] || a[1].localeCompare(b[1])).slice(0, 5).map(([, other]) => other);
}
