// Times and ages. Ages stand still while nothing is heard from the manager: they would be lies.

import { skew } from "/lib/api.js";
import { html, signal, useComputed } from "/lib/html.js";
import { live } from "/lib/store.js";

/** The manager's time in milliseconds since 1970; ticks each second while live and seen. */
export const now = signal(Date.now());

function tick() {
  if (live.peek().live && !document.hidden) now.value = Date.now() + skew.peek();
}
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
live.subscribe(tick);

/**
 * A length of time, in the two largest units that matter.
 * @param {number} milliseconds
 */
export function length(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/**
 * How long ago something was, as of {@link now}.
 * @param {string} at
 */
export function age(at) {
  return length(now.value - Date.parse(at));
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/**
 * A time for people, in their own zone.
 * @param {string|number|Date} at
 */
export function full(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? String(at) : dates.format(time);
}

/**
 * A time with its exact value: as an age, or as a date. A `coarse` age has its largest unit only.
 * @param {{at: string|null|undefined, as?: "age"|"date", coarse?: boolean, suffix?: string, none?: string}} props
 */
export function Time({ at, as = "age", coarse = false, suffix = "", none = "never" }) {
  if (!at) return none;
  if (as === "age") return html`<${Age} key=${at} at=${at} coarse=${coarse} suffix=${suffix} />`;
  return html`<time datetime=${at}>${full(at)}</time>`;
}

/** @param {{at: string, coarse: boolean, suffix: string}} props */
function Age({ at, coarse, suffix }) {
  // The text alone is written again when the age changes.
  const text = useComputed(() => (coarse ? age(at).split(" ").slice(0, 2).join(" ") : age(at)) + suffix);
  return html`<time datetime=${at} title=${full(at)}>${text}</time>`;
}
