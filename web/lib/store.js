// What is known of the grid. Each service and machine has a signal of its own: an event writes that one, and only what
// shows it is drawn again.

import { call } from "/lib/api.js";
import { batch, signal, untracked } from "/lib/html.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { GridEvent, Machine, Manager, Service, Status, Whoami } from "/lib/types.js" */

/** The services, by name. The outer signal is written when one comes or goes.
 * @type {Signal<Map<string, Signal<Service>>>} */
export const services = signal(new Map());

/** The machines, by name.
 * @type {Signal<Map<string, Signal<Machine>>>} */
export const machines = signal(new Map());

/** The grid's name and its manager.
 * @type {Signal<{name: string, manager: Manager}>} */
export const grid = signal({ name: "", manager: { name: "", role: "", epoch: 0, version: "", problems: [] } });

/** Who is logged in; null while nobody is.
 * @type {Signal<Whoami|null>} */
export const me = signal(null);

/** Whether the manager is heard from, and since when it is so.
 * @type {Signal<{live: boolean, since: Date}>} */
export const live = signal({ live: false, since: new Date() });

/** Whether a first status is there. */
export const loaded = signal(false);

/** Counts up when anything of the services changed: at once, then at most every {@link PACE}. What looks at all of them
 * follows this, not each of them. */
export const version = signal(0);

/** Counts up with each whole status: events before it may not have been told. */
export const resets = signal(0);

/** How often what looks at all services is told of changes, in milliseconds. */
const PACE = 100;

/** @type {Set<(event: GridEvent) => void>} */
const listeners = new Set();

/** @type {Set<() => void>} */
const forgetters = new Set();

/** What is done when an event cannot be applied: what is shown may be wrong from then on. */
let failed = () => {};

/**
 * Sets what is done when an event cannot be applied.
 * @param {() => void} listener
 */
export function onFailure(listener) {
  failed = listener;
}

/**
 * Calls when everything is forgotten, because another person may come.
 * @param {() => void} listener
 */
export function onForget(listener) {
  forgetters.add(listener);
}

/**
 * Calls for every event, after what it says is in the store.
 * @param {(event: GridEvent) => void} listener
 * @returns {() => void} stops it
 */
export function onEvent(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const RANKS = { viewer: 0, operator: 1, admin: 2 };
const NEEDS = { trigger: 1, tag: 1, manage: 2, configure: 2 };

/**
 * Whether who is logged in may do something; the manager decides again.
 * @param {"trigger"|"tag"|"manage"|"configure"} permission
 */
export function can(permission) {
  const who = me.value;
  if (!who || (who.targets && permission !== "trigger")) return false;
  return RANKS[who.role] >= NEEDS[permission];
}

/**
 * @template {{name: string}} T
 * @param {Signal<Map<string, Signal<T>>>} held
 * @param {T[]} all
 */
function replaceAll(held, all) {
  const before = held.peek();
  const after = new Map();
  let same = before.size === all.length;
  for (const item of all) {
    const known = before.get(item.name);
    if (!known) same = false;
    else if (JSON.stringify(known.peek()) !== JSON.stringify(item)) known.value = item;
    after.set(item.name, known ?? signal(item));
  }
  if (!same) held.value = after;
}

/** The maps to be, while events are applied: one copy for all of them. @type {Map<Signal<any>, Map<string, any>>} */
const copies = new Map();

/** @param {Signal<any>} held */
function copyOf(held) {
  let copy = copies.get(held);
  if (!copy) {
    copy = new Map(held.peek());
    copies.set(held, copy);
  }
  return copy;
}

/**
 * @template {{name: string}} T
 * @param {Signal<Map<string, Signal<T>>>} held
 * @param {T} item
 */
function put(held, item) {
  const known = (copies.get(held) ?? held.peek()).get(item.name);
  if (known) known.value = item;
  else copyOf(held).set(item.name, signal(item));
}

/**
 * @param {Signal<Map<string, any>>} held
 * @param {string} name
 */
function drop(held, name) {
  if ((copies.get(held) ?? held.peek()).has(name)) copyOf(held).delete(name);
}

let paced = 0;
let pacer = 0;

/** Tells what looks at all services that some changed. */
function changed() {
  if (pacer) return;
  const wait = paced + PACE - performance.now();
  if (wait <= 0) tellAll();
  else pacer = setTimeout(tellAll, wait);
}

function tellAll() {
  clearTimeout(pacer);
  pacer = 0;
  paced = performance.now();
  version.value++;
}

/**
 * Takes a whole status.
 * @param {Status} status
 */
export function applyStatus(status) {
  queue.length = 0;
  batch(() => {
    replaceAll(services, status.services);
    replaceAll(machines, status.machines);
    grid.value = { name: status.grid, manager: status.manager };
    loaded.value = true;
    resets.value++;
    tellAll();
  });
}

/**
 * Takes the tags and collections of a status and nothing else: events may be ahead of it.
 * @param {Status} status
 */
export function applyTags(status) {
  batch(() => {
    for (const [held, fresh] of /** @type {any} */ ([[services, status.services], [machines, status.machines]])) {
      for (const { name, tags, collections } of fresh) {
        const known = held.peek().get(name);
        if (known && (String(known.peek().tags) !== String(tags) || String(known.peek().collections) !== String(collections))) known.value = { ...known.peek(), tags, collections };
      }
    }
    version.value++;
  });
}

/** @param {GridEvent} event */
function apply(event) {
  if (event.kind === "service.state") put(services, event.data);
  else if (event.kind === "machine.state") put(machines, event.data);
  else if (event.kind === "service.gone" && event.service) drop(services, event.service);
  else if (event.kind === "machine.removed" && event.machine) drop(machines, event.machine);
  else if (event.kind === "manager.state") grid.value = { ...grid.peek(), manager: event.data };
}

/** The most events that wait to be drawn. */
const MOST = 2000;

/** @type {GridEvent[]} */
const queue = [];
let planned = false;

function flush() {
  planned = false;
  const events = queue.splice(0);
  if (!events.length) return;
  try {
    batch(() => {
      try {
        untracked(() => events.forEach(apply));
      } finally {
        for (const [held, copy] of copies) held.value = copy;
        copies.clear();
      }
      changed();
    });
  } catch (error) {
    reportError(error);
    failed();
  }
  batch(() => events.forEach(tellOf));
}

/** @param {GridEvent} event */
function tellOf(event) {
  for (const listener of listeners) {
    try {
      listener(event);
    } catch (error) {
      // The others hear of it still.
      reportError(error);
    }
  }
}

/**
 * Takes an event; all that come within a frame are drawn together.
 * @param {GridEvent} event
 */
export function take(event) {
  queue.push(event);
  // A page in the background may wait for its timer for a minute.
  if (queue.length >= MOST) flush();
  if (planned) return;
  planned = true;
  // A page that nobody sees gets no frames.
  if (document.hidden) setTimeout(flush, 200);
  else requestAnimationFrame(flush);
}

document.addEventListener("visibilitychange", () => planned && flush());

/** Forgets everything, for the next who logs in. */
export function forget() {
  queue.length = 0;
  batch(() => {
    services.value = new Map();
    machines.value = new Map();
    loaded.value = false;
    me.value = null;
    for (const listener of forgetters) listener();
    tellAll();
  });
}

// The stream of events: a snapshot, then every change; and whether it is live.

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
  // What is only of the moment, and has no id to go on after.
  from.addEventListener("passing", (message) => {
    if (!heard()) return;
    try {
      take({ ...JSON.parse(message.data), passing: true });
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
