// The filters of the audit, as addresses hold them. Pure.

/** What the manager can filter records by. */
const KEYS = ["actor", "action", "outcome", "subject"];

/**
 * The path of the records that fit.
 * @param {URLSearchParams} query of the view's address
 * @param {number} limit
 */
export function auditPath(query, limit) {
  const asked = new URLSearchParams({ limit: String(limit) });
  for (const key of KEYS) {
    const value = query.get(key);
    if (value) asked.set(key, value);
  }
  for (const key of ["since", "until"]) {
    const at = Date.parse(query.get(key) ?? "");
    if (!Number.isNaN(at)) asked.set(key, new Date(at).toISOString());
  }
  return `/audit?${asked}`;
}

/**
 * A time as an input of the local zone takes it; nothing if it is none.
 * @param {string} text
 */
export function localMinute(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  const date = new Date(at);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/**
 * A time of the local zone as addresses hold it, so that a link means the same everywhere.
 * @param {string} text
 */
export function moment(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? "" : new Date(at).toISOString();
}
