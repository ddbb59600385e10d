// The stream of events: a snapshot, then every change; and whether it is live.

import { call } from "/api.js";

/** How long the stream may be silent; the manager shows every 5 s that it lives. In milliseconds. */
const SILENCE = 9000;

/** How long to wait before a stream that broke is opened again. In milliseconds. */
const AGAIN = 1000;

/**
 * @typedef {object} Watching
 * @property {(status: any) => void} onSnapshot
 * @property {(event: any) => void} onEvent
 * @property {(live: boolean) => void} onLive
 * @property {() => void} onLoggedOut
 */

/**
 * Watches the grid until it is told to stop.
 * @param {Watching} watching
 * @returns {() => void} stops it
 */
export function watch(watching) {
  /** @type {EventSource | undefined} */
  let source;
  let last = "";
  let timer = 0;
  let stopped = false;

  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(again, SILENCE);
    watching.onLive(true);
  };

  const again = () => {
    source?.close();
    clearTimeout(timer);
    watching.onLive(false);
    if (!stopped) {
      timer = setTimeout(open, AGAIN);
    }
  };

  const open = async () => {
    try {
      if (last === "") {
        const status = await call("GET", "/status");
        last = status.seq;
        watching.onSnapshot(status);
      } else {
        // An EventSource does not say why it failed; this does.
        await call("GET", "/whoami");
      }
    } catch (problem) {
      if (/** @type {any} */ (problem).status === 401) {
        stopped = true;
        watching.onLoggedOut();
      } else {
        again();
      }
      return;
    }
    if (stopped) {
      return;
    }
    source = new EventSource(`/api/v1/events?since=${encodeURIComponent(last)}`);
    source.onopen = heard;
    source.onerror = again;
    source.addEventListener("alive", heard);
    source.addEventListener("reset", (message) => {
      const status = JSON.parse(message.data);
      last = status.seq;
      heard();
      watching.onSnapshot(status);
    });
    source.onmessage = (message) => {
      last = message.lastEventId;
      heard();
      watching.onEvent(JSON.parse(message.data));
    };
  };

  open();
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
  };
}
