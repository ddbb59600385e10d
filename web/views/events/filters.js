// Which events a feed shows: the rules of its filters, and how they are written in addresses. Pure.

import { plain, sentence } from "/views/events/sentence.js";

/** @typedef {import("/lib/types.js").GridEvent} GridEvent */
/** @typedef {{kind: string[], service: string, machine: string, actor: string, state: string, text: string}} Filters */

/**
 * The families of kinds that can be chosen. A kind that ends in a point is a prefix.
 * @type {{key: string, label: string, kinds: string[], admin?: boolean}[]}
 */
export const FAMILIES = [
  { key: "services", label: "Services", kinds: ["service."] },
  { key: "triggers", label: "Triggers", kinds: ["trigger"] },
  { key: "operations", label: "Operations", kinds: ["operation."] },
  { key: "hooks", label: "Hooks", kinds: ["hook.", "program."] },
  { key: "schedules", label: "Schedules", kinds: ["schedule."] },
  { key: "config", label: "Configuration", kinds: ["config."] },
  { key: "machines", label: "Machines", kinds: ["machine."] },
  { key: "tags", label: "Tags", kinds: ["tags."] },
  { key: "manager", label: "Manager", kinds: ["manager."] },
  { key: "logins", label: "Logins", kinds: ["login", "login.failed", "logout"], admin: true },
  { key: "access", label: "Users and tokens", kinds: ["user.", "token."], admin: true },
  { key: "refused", label: "Refused", kinds: ["action.refused", "machine.refused"], admin: true },
];

/**
 * The filters that an address holds.
 * @param {URLSearchParams} query
 * @returns {Filters}
 */
export function filtersOf(query) {
  const text = (/** @type {string} */ key) => (query.get(key) ?? "").trim();
  const kind = text("kind").split(",").filter(Boolean).slice(0, 32);
  return { kind, service: text("service"), machine: text("machine"), actor: text("actor"), state: text("state"), text: text("q") };
}

/**
 * The kinds that the manager is asked for; none means all.
 * @param {string[]} chosen keys of families, or kinds
 */
export function kindsOf(chosen) {
  const all = chosen.flatMap((key) => FAMILIES.find((family) => family.key === key)?.kinds ?? [key]);
  return [...new Set(all)];
}

/**
 * What of the filters the manager can apply, as the path of the journal.
 * @param {Filters} filters
 * @param {number} limit
 */
export function journalPath(filters, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  const kinds = kindsOf(filters.kind);
  if (kinds.length) query.set("kind", kinds.join(","));
  for (const key of /** @type {const} */ (["service", "machine", "actor", "state"])) {
    if (filters[key]) query.set(key, filters[key]);
  }
  return `/journal?${query}`;
}

/**
 * Whether a live event belongs to what the manager was asked for. The same rules as the journal's.
 * @param {GridEvent} event
 * @param {Filters} filters
 */
export function belongs(event, filters) {
  // What the journal does not keep is read where the operation is.
  if (event.kind === "operation.step" || event.kind === "operation.log") return false;
  const kinds = kindsOf(filters.kind);
  const fits = (/** @type {string} */ kind) => (kind.endsWith(".") ? event.kind.startsWith(kind) : event.kind === kind);
  return (
    (!kinds.length || kinds.some(fits)) &&
    (!filters.service || event.service === filters.service) &&
    (!filters.machine || event.machine === filters.machine) &&
    (!filters.actor || event.actor === filters.actor) &&
    (!filters.state || event.data?.state === filters.state)
  );
}

/**
 * Whether the sentence of an event holds every word that is searched for.
 * @param {GridEvent} event
 * @param {string} text
 */
export function mentions(event, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const said = `${event.kind} ${event.machine ?? ""} ${plain(sentence(event))}`.toLowerCase();
  return words.every((word) => said.includes(word));
}

/**
 * Whether anything is filtered.
 * @param {Filters} filters
 */
export const isFiltered = (filters) =>
  filters.kind.length > 0 || [filters.service, filters.machine, filters.actor, filters.state, filters.text].some(Boolean);
