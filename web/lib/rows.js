// What is shown of the services, in which order and groups. Rules only: no page, no store.

import { PROBLEMS, WORST_FIRST, shownState } from "/components/state.js";

/** @import { Service } from "/lib/types.js" */
/** @import { Shown } from "/components/state.js" */

/** @typedef {"machine"|"collection"|"tag"|"state"|"none"} Grouping */
/** @typedef {"problems"|"name"|"state"|"since"} Sorting */
/** @typedef {Partial<Record<Shown, number>>} Counts */

/**
 * A group of services, with its roll-up.
 * @typedef {object} Group
 * @property {string} key
 * @property {string} title
 * @property {Service[]} services in their order
 * @property {Counts} counts
 */

/** @type {Record<string, number>} */
const RANK = Object.fromEntries(WORST_FIRST.map((state, rank) => [state, rank]));

const compare = new Intl.Collator("en", { numeric: true }).compare;

/**
 * The order of names: by machine, its agent first; numbers in them by value. It is slow, and changes only when services
 * come or go: what follows takes services that are in this order already.
 * @param {Service} a
 * @param {Service} b
 */
export function byName(a, b) {
  return compare(a.machine, b.machine) || compare(a.type, b.type) || compare(a.name, b.name);
}

/**
 * Services in another order than that of their names; where it does not matter, that one stays.
 * @param {Service[]} services
 * @param {Sorting} sorting
 */
function sort(services, sorting) {
  if (sorting === "name") return services;
  if (sorting === "since") return services.toSorted((a, b) => (a.since < b.since ? 1 : a.since > b.since ? -1 : 0));
  const rank = sorting === "state" ? stateRank : problemRank;
  /** @type {Service[][]} */
  const ranked = Array.from({ length: WORST_FIRST.length + 1 }, () => []);
  for (const service of services) ranked[rank(service)].push(service);
  return ranked.flat();
}

/** @param {Service} service */
function stateRank(service) {
  return RANK[shownState(service)] ?? WORST_FIRST.length;
}

/** @param {Service} service */
function problemRank(service) {
  const shown = shownState(service);
  return PROBLEMS.has(shown) ? RANK[shown] : WORST_FIRST.length;
}

/**
 * How many there are of each state.
 * @param {Service[]} services
 * @returns {Counts}
 */
export function count(services) {
  /** @type {Counts} */
  const counts = {};
  for (const service of services) {
    const shown = shownState(service);
    counts[shown] = (counts[shown] ?? 0) + 1;
  }
  return counts;
}

/**
 * Whether a service has one of some states; `problems` stands for all that somebody should look at.
 * @param {Service} service
 * @param {Set<string>} states none means all
 */
export function inStates(service, states) {
  if (!states.size) return true;
  const shown = shownState(service);
  return states.has(shown) || (states.has("problems") && PROBLEMS.has(shown));
}

/**
 * The groups a service belongs to, by title; "" is the group of those without one.
 * @param {Service} service
 * @param {Grouping} grouping
 * @returns {string[]}
 */
function groupsOf(service, grouping) {
  if (grouping === "machine") return [service.machine];
  if (grouping === "state") return [shownState(service)];
  if (grouping === "collection") return service.collections?.length ? service.collections : [""];
  if (grouping === "tag") return service.tags?.length ? service.tags : [""];
  return [""];
}

/**
 * Puts services into groups and order. With `problems` first, groups that have some come first.
 * @param {Service[]} services in the order of their names
 * @param {Grouping} grouping
 * @param {Sorting} sorting
 * @returns {Group[]}
 */
export function groups(services, grouping, sorting) {
  const sorted = sort(services, sorting);
  if (grouping === "none") return sorted.length ? [{ key: "", title: "", services: sorted, counts: count(sorted) }] : [];
  /** @type {Map<string, Service[]>} */
  const held = new Map();
  for (const service of sorted) {
    for (const title of groupsOf(service, grouping)) {
      const group = held.get(title);
      if (group) group.push(service);
      else held.set(title, [service]);
    }
  }
  const all = [...held].map(([title, own]) => ({ key: title, title, services: own, counts: count(own) }));
  const byTitle = (/** @type {Group} */ a, /** @type {Group} */ b) => Number(!a.title) - Number(!b.title) || compare(a.title, b.title);
  if (grouping === "state") return all.sort((a, b) => RANK[a.title] - RANK[b.title]);
  // By state and by age, groups follow the first of their services.
  if (sorting === "name") return all.sort(byTitle);
  if (sorting === "problems") return all.sort((a, b) => problemRank(a.services[0]) - problemRank(b.services[0]) || byTitle(a, b));
  return all;
}

/**
 * A line of the list: the head of a group, a row, or a few tiles.
 * @typedef {object} GridLine
 * @property {"group"|"row"|"tiles"} kind
 * @property {string} key
 * @property {number} height
 * @property {Group} [group]
 * @property {string} [name]
 * @property {string[]} [names]
 */

/**
 * The lines of the list.
 * @param {Group[]} all
 * @param {{head: number, row: number, tile: number, perLine: number}} sizes heights in pixels; `perLine` 0 for rows
 * @returns {GridLine[]}
 */
export function lines(all, sizes) {
  /** @type {GridLine[]} */
  const list = [];
  for (const group of all) {
    if (group.title || all.length > 1) list.push({ kind: "group", key: `g ${group.key}`, height: sizes.head, group });
    if (sizes.perLine) {
      for (let i = 0; i < group.services.length; i += sizes.perLine) {
        const names = group.services.slice(i, i + sizes.perLine).map((service) => service.name);
        list.push({ kind: "tiles", key: `t ${group.key} ${i}`, height: sizes.tile, names });
      }
    } else {
      for (const { name } of group.services) list.push({ kind: "row", key: `r ${group.key} ${name}`, height: sizes.row, name });
    }
  }
  return list;
}
