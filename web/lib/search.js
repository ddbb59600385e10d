// What a search means, and in which order and groups services are shown. Rules only: no page, no store.

import { PROBLEMS, shownState, WORST_FIRST } from "/components/state.js";

/** @import { Shown } from "/components/state.js" */
/** @import { GridLine, Group, Search, Service, Term } from "/lib/types.js" */

/** @type {Record<string, string>} */
const STATE_WORDS = { "not-available": "not_available", notavailable: "not_available", na: "not_available" };

const STATES = ["active", "starting", "stopping", "unresponsive", "stopped", "crashed", "not_available"];
const KINDS = { crashed: isCrashed, problem: isProblem, agent: isAgent, instance: (/** @type {Service} */ s) => !isAgent(s) };

/** @param {Service} service */
function isCrashed(service) {
  return service.state === "stopped" && !!service.last_exit && !service.last_exit.wanted;
}

/** @param {Service} service */
function isProblem(service) {
  return service.state === "unresponsive" || service.state === "not_available" || isCrashed(service);
}

/** @param {Service} service */
function isAgent(service) {
  return service.type === "agent";
}

/**
 * The keys, and how each is compared.
 * @type {Record<string, (service: Service, value: string) => boolean>}
 */
const KEYS = {
  name: (service, value) => like(service.name, value, true),
  machine: (service, value) => like(service.machine, value),
  state: (service, value) => (value === "crashed" ? isCrashed(service) : like(service.state, STATE_WORDS[value] ?? value)),
  tag: (service, value) => (service.tags ?? []).some((tag) => like(tag, value)),
  in: (service, value) => (service.collections ?? []).some((name) => like(name, value)),
  type: (service, value) => like(service.type, value),
  is: (service, value) => KINDS[/** @type {keyof typeof KINDS} */ (value)]?.(service) ?? false,
  port: (service, value) => (service.ports ?? []).some((port) => String(port) === value),
  reason: (service, value) => like(service.reason ?? "", value, true),
};

/**
 * Compares a text with a value in which `*` stands for anything.
 * @param {string} text
 * @param {string} value in lower case
 * @param {boolean} [inside] the value may stand anywhere in the text
 */
function like(text, value, inside = false) {
  const lower = text.toLowerCase();
  if (!value.includes("*")) return inside ? lower.includes(value) : lower === value;
  const parts = value.split("*");
  const last = parts.pop() ?? "";
  const first = parts.shift() ?? "";
  if (!lower.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts) {
    const found = lower.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return lower.length - last.length >= at && lower.endsWith(last);
}

/**
 * The word of a few that is nearest to one, or "" if none is near.
 * @param {string} word
 * @param {string[]} known
 */
export function nearest(word, known) {
  let best = "";
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const apart = distance(word.toLowerCase(), candidate.toLowerCase(), least);
    if (apart < least) [best, least] = [candidate, apart];
  }
  return best;
}

/**
 * How many letters must change to make one word of another.
 * @param {string} a
 * @param {string} b
 * @param {number} [most] more than that is not counted
 */
export function distance(a, b, most = Infinity) {
  if (Math.abs(a.length - b.length) >= most) return most;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
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
 * Reads a search: free words, and `key:value`, each with `-` before it for what it must not be. A value with blanks
 * stands in quotes.
 * @param {string} text
 * @returns {Search}
 */
export function parse(text) {
  /** @type {Term[]} */
  const terms = [];
  const problems = [];
  for (const [, minus, key, quoted, plain] of text.matchAll(/(-?)(?:([a-z_]+):)?(?:"([^"]*)"?|(\S+))/gi)) {
    const value = (quoted ?? plain ?? "").toLowerCase();
    const not = minus === "-";
    const name = (key ?? "").toLowerCase();
    const problem = key ? mistake(name, value) : "";
    if (problem) problems.push(problem);
    if (name && !(name in KEYS)) terms.push({ key: "", value: `${name}:${value}`, not });
    else if (value || name) terms.push({ key: name, value, not });
  }
  return { terms, problems };
}

/**
 * @param {string} key
 * @param {string} value
 */
function mistake(key, value) {
  if (!(key in KEYS)) {
    const near = nearest(key, Object.keys(KEYS));
    return `There is no key “${key}:”${near ? `; did you mean “${near}:”?` : `. Keys are ${Object.keys(KEYS).join(", ")}.`}`;
  }
  const words = { state: [...STATES, ...Object.keys(STATE_WORDS)], is: Object.keys(KINDS), type: ["instance", "agent"] }[key];
  if (!words || !value || value.includes("*") || words.includes(value)) return "";
  const near = nearest(value, words);
  return `There is no ${key} “${value}”${near ? `; did you mean “${key}:${near}”?` : `. It can be ${words.join(", ")}.`}`;
}

/** What free words are looked for in; services are replaced, not changed. @type {WeakMap<Service, string>} */
const texts = new WeakMap();

/** @param {Service} service */
function textOf(service) {
  let text = texts.get(service);
  if (text === undefined) {
    const words = [service.name, service.machine, service.state.replace("_", " "), isCrashed(service) ? "crashed" : ""];
    text = [...words, ...(service.tags ?? []), service.reason ?? "", ...(service.notes ?? [])].join("\n").toLowerCase();
    texts.set(service, text);
  }
  return text;
}

/**
 * Whether a service is what is searched: every term holds.
 * @param {Service} service
 * @param {Search} search
 */
export function matches(service, search) {
  return search.terms.every(({ key, value, not }) => {
    // A key without a value is being typed still.
    if (key && !value) return true;
    return (key ? KEYS[key](service, value) : textOf(service).includes(value)) !== not;
  });
}

/**
 * A value with quotes if it needs them.
 * @param {string} key
 * @param {string} value
 */
export function term(key, value) {
  return /\s/.test(value) ? `${key}:"${value}"` : `${key}:${value}`;
}

// What is shown of the services, in which order and groups. Rules only: no page, no store.

/** @typedef {"machine"|"collection"|"tag"|"state"|"none"} Grouping */
/** @typedef {"problems"|"name"|"state"|"since"} Sorting */
/** @typedef {Partial<Record<Shown, number>>} Counts */

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
