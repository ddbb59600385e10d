// Which operations are not over, and which services they hold.

import { call } from "/lib/api.js";
import { batch, computed, effect, signal, untracked } from "/lib/html.js";
import { me, onEvent, onForget, resets } from "/lib/store.js";

/** @import { Operation, Step } from "/lib/types.js" */
/** @import { Signal } from "/lib/html.js" */
/** @typedef {{operation: string, number: number}} Claim */

/** Larger operations are not asked which services they hold: events tell it. */
const SMALL = 200;

/** Those that are not over, by id. @type {Signal<Map<string, Operation>>} */
export const underWay = signal(new Map());

/** Which operation works on a service now, by its name. @type {Signal<Map<string, Claim>>} */
export const claims = signal(new Map());

/** How many are carried out now. */
export const running = computed(() => [...underWay.value.values()].filter((one) => one.state !== "interrupted").length);

/** How many wait for somebody to resume them. */
export const interrupted = computed(() => underWay.value.size - running.value);

/** @param {Operation} operation */
export function keep(operation) {
  const all = new Map(underWay.peek());
  if (operation.state === "ended" || operation.state === "planned") {
    if (!all.delete(operation.id)) return;
    release((claim) => claim.operation === operation.id);
  } else all.set(operation.id, operation);
  underWay.value = all;
}

/** @param {(claim: Claim) => boolean} which */
function release(which) {
  const left = [...claims.peek()].filter(([, claim]) => !which(claim));
  if (left.length < claims.peek().size) claims.value = new Map(left);
}

/** What steps have told, until all that came together were read. @type {Map<string, [string, Step]>} */
const heard = new Map();

/** @param {string} operation @param {Step} step */
function claim(operation, step) {
  if (step.kind !== "service" || !step.service) return;
  if (!heard.size) queueMicrotask(settle);
  heard.set(`${operation} ${step.service}`, [operation, step]);
}

function settle() {
  const all = new Map(claims.peek());
  for (const [operation, { service = "", state, number }] of heard.values()) {
    if (state === "running") all.set(service, { operation, number });
    else if (all.get(service)?.operation === operation) all.delete(service);
  }
  heard.clear();
  claims.value = all;
}

let turn = 0;

/** Asks which there are; events go on from there. */
async function look() {
  const mine = ++turn;
  const part = (/** @type {string} */ state) => call("GET", `/operations?state=${state}&limit=100`).then((page) => page.items, () => []);
  /** @type {Operation[]} */
  const all = (await Promise.all(["running", "cancelling", "interrupted"].map(part))).flat();
  if (mine !== turn) return;
  batch(() => {
    underWay.value = new Map(all.map((one) => [one.id, one]));
    release(() => true);
  });
  for (const { id, state, services } of all) {
    if (state === "interrupted" || services.total > SMALL) continue;
    const detail = await call("GET", `/operations/${id}`).catch(() => null);
    if (mine !== turn) return;
    if (underWay.peek().has(id)) for (const step of detail?.steps ?? []) if (step.state === "running") claim(id, step);
  }
}

// After each snapshot: what was told before it may be missing.
effect(() => {
  if (resets.value && me.value) untracked(look);
});

onForget(() => {
  turn++;
  underWay.value = new Map();
  claims.value = new Map();
});

onEvent((event) => {
  if (event.kind === "operation.state") keep(event.data);
  else if (event.kind === "operation.step") claim(event.data.operation, event.data.step);
});
