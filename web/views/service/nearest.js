// Which names come nearest to one that is not there. Pure.

/** The longest name that is compared. */
const LONGEST = 64;

/**
 * How many letters must change to make one word of another.
 * @param {string} a
 * @param {string} b
 */
export function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

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
