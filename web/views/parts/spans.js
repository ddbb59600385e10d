// Lengths of time that are chosen, and times to come. Pure.

const HOUR = 3600;
const DAY = 24 * HOUR;

/** How long join tokens may live: seconds and words. @type {[string, string][]} */
export const JOIN_SPANS = [
  [String(HOUR), "1 hour"],
  [String(8 * HOUR), "8 hours"],
  [String(DAY), "1 day"],
  [String(7 * DAY), "7 days"],
  [String(30 * DAY), "30 days"],
  [String(365 * DAY), "1 year"],
];

/** How long API tokens may live: seconds and words. @type {[string, string][]} */
export const API_SPANS = [
  [String(DAY), "1 day"],
  [String(7 * DAY), "7 days"],
  [String(30 * DAY), "30 days"],
  [String(90 * DAY), "90 days"],
  [String(365 * DAY), "1 year"],
  [String(3 * 365 * DAY), "3 years"],
];

/**
 * How far away a time is, roughly: `in 3 days`, `2 h ago`.
 * @param {string} at
 * @param {number} now in milliseconds since 1970
 */
export function roughly(at, now) {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  const size = Math.abs(seconds);
  const word = size < 60 ? "less than a minute" : size < HOUR ? `${Math.round(size / 60)} min` : size < 2 * DAY ? `${Math.round(size / HOUR)} h` : `${Math.round(size / DAY)} days`;
  return seconds >= 0 ? `in ${word}` : `${word} ago`;
}

/**
 * Whether a token may be used now, in a word.
 * @param {import("/lib/types.js").Token} token
 * @param {number} now in milliseconds since 1970
 * @returns {"good" | "revoked" | "expired" | "used up"}
 */
export function tokenState(token, now) {
  if (token.revoked_at) return "revoked";
  if (Date.parse(token.expires_at) <= now) return "expired";
  if (token.max_uses != null && (token.uses ?? 0) >= token.max_uses) return "used up";
  return "good";
}
