// The end of a session.

import { forget } from "/lib/store.js";
import { start, stop } from "/lib/stream.js";

/** Forgets all that was shown, and begins anew: with the login, if nobody is logged in. */
export function leave() {
  stop();
  forget();
  start();
}
