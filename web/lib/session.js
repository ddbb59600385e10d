// The end of a session.

import { forget, start, stop } from "/lib/store.js";

/** Forgets all that was shown, and begins anew: with the login, if nobody is logged in. */
export function leave() {
  stop();
  forget();
  start();
}
