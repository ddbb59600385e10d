// A clock for tables: what is shown in minutes need not be drawn each second.

import { computed } from "/lib/html.js";
import { now } from "/lib/time.js";

/** The manager's time in milliseconds since 1970, in steps of 10 s. */
export const steps = computed(() => Math.floor(now.value / 10_000) * 10_000);
