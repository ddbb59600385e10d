// What a search means. Rules only: no page, no store.

/** @import { Service } from "/lib/types.js" */

/**
 * @typedef {object} Term
 * @property {string} key empty for free words
 * @property {string} value in lower case
 * @property {boolean} not
 */

/**
 * @typedef {object} Search
 * @property {Term[]} terms
 * @property {string[]} problems what is not understood, in words
 */

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
