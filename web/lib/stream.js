// The stream of events: a snapshot, then every change; and whether it is live.

import { call } from "/lib/api.js";
import { batch, signal } from "/lib/html.js";
import { applyStatus, live, me, take } from "/lib/store.js";

/** How long the stream may be silent; the manager shows every 5 s that it lives. In milliseconds. */
const SILENCE = 9000;

/** How long to wait before a stream that broke is opened again. In milliseconds. */
const AGAIN = 1000;

/** How long an attempt may take. In milliseconds. */
const ATTEMPT = 5000;

/** When the next attempt is made, in milliseconds since 1970; null while one is under way or the stream is live.
 * @type {import("/lib/html.js").Signal<number|null>} */
export const nextAttempt = signal(null);

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

function heard() {
  lastHeard = new Date();
  clearTimeout(timer);
  timer = setTimeout(again, SILENCE);
  nextAttempt.value = null;
  tell(true);
}

function again() {
  source?.close();
  clearTimeout(timer);
  tell(false);
  nextAttempt.value = Date.now() + AGAIN;
  timer = setTimeout(open, AGAIN);
}

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
  } catch (problem) {
    if (mine !== turn) return;
    if (/** @type {any} */ (problem).status === 401) stop();
    else again();
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
    const status = JSON.parse(message.data);
    last = status.seq;
    heard();
    applyStatus(status);
  });
  from.onmessage = (message) => {
    last = message.lastEventId;
    heard();
    take(JSON.parse(message.data));
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

// A browser that slept, or a network that is back: no need to wait.
addEventListener("online", () => {
  if (nextAttempt.peek() !== null) {
    clearTimeout(timer);
    open();
  }
});
