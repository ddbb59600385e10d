// The stream of events: a snapshot, then every change; and whether it is live.

import { call } from "/lib/api.js";
import { batch, signal } from "/lib/html.js";
import { applyStatus, live, me, onFailure, take } from "/lib/store.js";

/** How long the stream may be silent; the manager shows every 5 s that it lives. In milliseconds. */
const SILENCE = 9000;

/** How long to wait before a stream that broke is opened again. In milliseconds. */
const AGAIN = 1000;

/** How long an attempt may take. In milliseconds. */
const ATTEMPT = 5000;

/** When the next attempt is made, in milliseconds since 1970; null while one is under way or the stream is live.
 * @type {import("/lib/html.js").Signal<number|null>} */
export const nextAttempt = signal(null);

/** Why the last attempt failed; null since one did not.
 * @type {import("/lib/html.js").Signal<import("/lib/api.js").Problem|null>} */
export const problem = signal(null);

/** How often it is looked whether this browser slept, in milliseconds. */
const LOOK = 1000;

/** @type {EventSource | undefined} */
let source;
let last = "";
let timer = 0;
/** Which watching this is; what belongs to an earlier one is not listened to. */
let turn = 0;

/** When the manager was last heard from; what is lost is lost since then. */
let lastHeard = new Date();

/** @param {boolean} now */
function tell(now) {
  if (live.peek().live !== now) live.value = { live: now, since: lastHeard };
}

/** Whether what is shown as live is too old for that, as after a sleep in which no timer ran. */
function overslept() {
  return live.peek().live && Date.now() - lastHeard.getTime() > SILENCE;
}

/** Lets go of what is too old to be live. */
function look() {
  if (overslept()) again();
}

/** Whether it may be taken: not what waited for a browser that slept. */
function heard() {
  if (overslept()) {
    again();
    return false;
  }
  lastHeard = new Date();
  clearTimeout(timer);
  timer = setTimeout(again, SILENCE);
  nextAttempt.value = null;
  problem.value = null;
  tell(true);
  return true;
}

function again() {
  source?.close();
  clearTimeout(timer);
  tell(false);
  nextAttempt.value = Date.now() + AGAIN;
  timer = setTimeout(open, AGAIN);
}

/** Begins with a snapshot again: what is held may be wrong. */
function afresh() {
  last = "";
  again();
}
onFailure(afresh);

async function open() {
  const mine = turn;
  nextAttempt.value = null;
  try {
    const options = { patience: ATTEMPT };
    // An EventSource does not say why it failed; this does.
    const who = call("GET", "/whoami", undefined, options);
    if (last === "") {
      const [status, whoami] = await Promise.all([call("GET", "/status", undefined, options), who]);
      if (mine !== turn) return;
      last = status.seq;
      batch(() => {
        me.value = whoami;
        applyStatus(status);
      });
      // What was just told is not stale; the stream must follow in time.
      heard();
    } else {
      const whoami = await who;
      if (mine !== turn) return;
      if (JSON.stringify(me.peek()) !== JSON.stringify(whoami)) me.value = whoami;
    }
  } catch (why) {
    if (mine !== turn) return;
    if (/** @type {any} */ (why).status === 401) stop();
    else {
      problem.value = /** @type {import("/lib/api.js").Problem} */ (why);
      again();
    }
    return;
  }
  listen();
}

function listen() {
  const from = new EventSource(`/api/v1/events?since=${encodeURIComponent(last)}`);
  source = from;
  clearTimeout(timer);
  timer = setTimeout(again, SILENCE);
  from.onopen = heard;
  from.onerror = again;
  from.addEventListener("alive", heard);
  from.addEventListener("reset", (message) => {
    if (!heard()) return;
    try {
      const status = JSON.parse(message.data);
      applyStatus(status);
      last = status.seq;
    } catch {
      afresh();
    }
  });
  from.onmessage = (message) => {
    if (!heard()) return;
    try {
      take(JSON.parse(message.data));
      last = message.lastEventId;
    } catch {
      afresh();
    }
  };
}

/** Begins to watch the grid, with a snapshot. */
export function start() {
  stop();
  last = "";
  open();
}

/** Ends watching; what is shown is not live from now on. */
export function stop() {
  turn++;
  source?.close();
  clearTimeout(timer);
  nextAttempt.value = null;
  tell(false);
}

setInterval(look, LOOK);
document.addEventListener("visibilitychange", look);
addEventListener("focus", look);

// A browser that slept, or a network that is back: no need to wait.
addEventListener("online", () => {
  if (nextAttempt.peek() !== null) {
    clearTimeout(timer);
    open();
  }
});
