// Commands: what would be done is asked of the manager first, confirmed, and then followed as an operation; and which
// operations are not over, with the services that they hold.

import { asking, VERBS } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { batch, computed, effect, signal, untracked } from "/lib/html.js";
import { go, route } from "/lib/router.js";
import { live, me, onEvent, onForget, resets, services } from "/lib/store.js";
import { close, toast } from "/components/dialog.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Command, Operation, Step } from "/lib/types.js" */

/** After which time it is said that an answer is waited for, in milliseconds. */
const SLOW = 300;

/** The most targets of one operation. */
const MOST = 1000;

/** The commands in the order in which they are offered. @type {{command: Command, name: string, key?: string, danger?: boolean}[]} */
export const COMMANDS = [
  { command: "start", name: VERBS.start.name, key: "S" },
  { command: "stop", name: VERBS.stop.name, key: "T" },
  { command: "restart", name: "Restart", key: "R" },
  { command: "kill", name: VERBS.kill.name, key: "K", danger: true },
  { command: "killstart", name: "Kill and start", danger: true },
];

/**
 * What a command is called.
 * @param {Command} command
 */
export const nameOf = (command) => COMMANDS.find((one) => one.command === command)?.name ?? command;

/**
 * What an operation is about, in a few words.
 * @param {string[]} targets
 */
export const summed = (targets) => (targets.length > 3 ? `${targets.slice(0, 2).join(", ")} and ${targets.length - 2} more` : targets.join(", "));

/**
 * Asks what a command would do, lets it be confirmed, and begins it. One at a time.
 * @param {Command} command
 * @param {string[]} targets services, collections, `@MACHINE`, `#TAG` or `all`
 * @returns {Promise<void>}
 */
export async function begin(command, targets) {
  const isAgent = (/** @type {string} */ name) => services.peek().get(name)?.peek().type === "agent";
  // Agents are worked on alone: nobody restarts them by the way.
  const agents = targets.every(isAgent) ? 0 : targets.filter(isAgent).length;
  if (agents) targets = targets.filter((name) => !isAgent(name));
  if (!targets.length || asking.peek()) return;
  if (targets.length > MOST) {
    toast(`${nameOf(command)}: one operation names at most ${MOST.toLocaleString("en")} services. Choose a tag, a machine or a collection instead.`, "bad");
    return;
  }
  asking.value = command;
  let note = -1;
  const slow = setTimeout(() => {
    note = toast(`${nameOf(command)}: asking what would be done…`);
  }, SLOW);
  const here = () => route.peek().path.join("/");
  const from = here();
  try {
    const [{ askCommand }, plan] = await Promise.all([import("/components/command.js"), call("POST", "/operations", { command, targets, dry_run: true })]);
    clearTimeout(slow);
    close(note);
    // Who has gone elsewhere meanwhile does something else.
    if (here() !== from) return;
    const order = await askCommand(command, targets, plan, agents);
    if (!order) return;
    follow(await call("POST", "/operations", { command, targets, order }));
  } catch (problem) {
    close(note);
    toast(`${nameOf(command)} ${summed(targets)}: ${/** @type {Error} */ (problem).message}`, "bad");
  } finally {
    clearTimeout(slow);
    asking.value = "";
  }
}

/**
 * Shows an operation that has just begun: in the grid with a link to it, so that one stays there.
 * @param {import("/lib/types.js").Operation} operation
 */
export function follow(operation) {
  keep(operation);
  const to = `/operations/${operation.id}`;
  if (route.peek().path.length) return go(to);
  toast(`${nameOf(operation.command)} ${summed(operation.targets)} has begun.`, "good", { label: "Follow it", run: () => go(to) });
}

// Which operations are not over, and which services they hold.

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

/** What is told while an answer is waited for: it is newer. @type {Operation[]|null} */
let meanwhile = null;

/** @param {Operation} operation */
export function keep(operation) {
  meanwhile?.push(operation);
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

/**
 * Services are taken in hand by an operation, and left.
 * @param {string} operation @param {[string, number][]} taken with their steps @param {string[]} left
 */
function hold(operation, taken, left) {
  if (!taken.length && !left.length) return;
  const all = new Map(claims.peek());
  for (const [service, number] of taken) all.set(service, { operation, number });
  for (const service of left) if (all.get(service)?.operation === operation) all.delete(service);
  claims.value = all;
}

let turn = 0;

/** Asks which there are; events go on from there. */
async function look() {
  const mine = ++turn;
  /** @type {Operation[]} */
  const newer = [];
  meanwhile = newer;
  const part = (/** @type {string} */ state) => call("GET", `/operations?state=${state}&limit=100`).then((page) => page.items, () => []);
  /** @type {Operation[]} */
  const all = (await Promise.all(["running", "cancelling", "interrupted"].map(part))).flat();
  if (mine !== turn) return;
  meanwhile = null;
  batch(() => {
    underWay.value = new Map(all.map((one) => [one.id, one]));
    release(() => true);
    newer.forEach(keep);
  });
  for (const { id, state, services } of all) {
    if (state === "interrupted" || services.total > SMALL) continue;
    const detail = await call("GET", `/operations/${id}`).catch(() => null);
    if (mine !== turn) return;
    /** @type {Step[]} */
    const steps = detail?.steps ?? [];
    const inHand = steps.filter((step) => step.kind === "service" && step.state === "running");
    if (underWay.peek().has(id)) hold(id, inHand.map(({ service = "", number }) => [service, number]), []);
  }
}

const isLive = computed(() => live.value.live);

// After each snapshot, and each time the events come again: who is in hand is told once, and may have been missed.
effect(() => {
  if (resets.value && isLive.value && me.value) untracked(look);
});

onForget(() => {
  turn++;
  underWay.value = new Map();
  claims.value = new Map();
});

onEvent((event) => {
  if (event.kind !== "operation.state") return;
  const { taken = [], left = [], ...operation } = event.data;
  keep(operation);
  if (underWay.peek().has(operation.id)) hold(operation.id, taken, left);
});
