// Triggers: what would happen is asked of the manager first, confirmed, done, and told.

import { call } from "/lib/api.js";
import { batch, html, signal } from "/lib/html.js";
import { onEvent, services } from "/lib/store.js";
import { confirm } from "/components/dialog.js";
import { Plan } from "/components/plan.js";
import { toast } from "/components/toast.js";

/** @import { Action, TriggerResult } from "/lib/types.js" */
/** @import { Signal } from "/lib/html.js" */

/** The most targets of one call. */
const CHUNK = 1000;

/** From how many on the number must be typed. */
const MANY = 20;

/**
 * @typedef {object} Outcome
 * @property {Action} action
 * @property {TriggerResult["outcome"]|"pending"} outcome
 * @property {string} message
 */

/** What became of the last trigger on each service, until it is dismissed. @type {Signal<Map<string, Outcome>>} */
export const outcomes = signal(new Map());

/**
 * What became of one call.
 * @typedef {object} Report
 * @property {Action} action
 * @property {TriggerResult[]} results
 * @property {string} problem why the call itself failed, or ""
 */

/** The last report that has failures to show. @type {Signal<Report|null>} */
export const report = signal(null);

/** What each action is called. */
export const VERBS = {
  start: { name: "Start", doing: "Starting", done: "started" },
  stop: { name: "Stop", doing: "Stopping", done: "told to stop" },
  kill: { name: "Kill", doing: "Killing", done: "killed" },
};

/**
 * A number with its noun.
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Forgets what became of triggers.
 * @param {string[]} names
 */
export function dismiss(names) {
  const next = new Map(outcomes.peek());
  for (const name of names) next.delete(name);
  outcomes.value = next;
}

/** @param {[string, Outcome][]} news */
function remember(news) {
  outcomes.value = new Map([...outcomes.peek(), ...news]);
}

/**
 * @param {Action} action
 * @param {string[]} names
 * @param {boolean} dryRun
 * @returns {Promise<TriggerResult[]>}
 */
async function ask(action, names, dryRun) {
  const chunks = [];
  for (let i = 0; i < names.length; i += CHUNK) chunks.push(names.slice(i, i + CHUNK));
  const answers = await Promise.all(chunks.map((targets) => call("POST", "/trigger", { action, targets, dry_run: dryRun })));
  return answers.flatMap((answer) => answer.results);
}

/**
 * Plans, asks, and triggers services by name. Resolves when it is over, or was not confirmed.
 * @param {Action} action
 * @param {string[]} names
 * @returns {Promise<void>}
 */
export async function trigger(action, names) {
  const known = names.filter((name) => services.peek().has(name));
  if (!known.length) return;
  let plan;
  try {
    plan = await ask(action, known, true);
  } catch (problem) {
    toast(`${VERBS[action].name}: ${/** @type {Error} */ (problem).message}`, "bad");
    return;
  }
  const planned = plan.filter((result) => result.outcome === "planned").map((result) => result.service);
  const machines = new Set(planned.map((name) => services.peek().get(name)?.peek().machine));
  const what = planned.length === 1 ? planned[0] : `${many(planned.length, "instance")} on ${many(machines.size, "machine")}`;
  const yes = await confirm({
    title: planned.length ? `${VERBS[action].name} ${what}` : `Nothing to ${action}`,
    body: html`<${Plan} action=${action} plan=${plan} />`,
    action: planned.length ? `${VERBS[action].name} ${planned.length > 1 ? planned.length : ""}` : "",
    danger: action === "kill",
    typed: planned.length > MANY ? String(planned.length) : undefined,
    wide: true,
  });
  if (yes && planned.length) await carryOut(action, planned);
}

/**
 * @param {Action} action
 * @param {string[]} names
 */
async function carryOut(action, names) {
  batch(() => {
    report.value = null;
    remember(names.map((name) => [name, { action, outcome: "pending", message: "" }]));
  });
  try {
    tell(action, await ask(action, names, false));
  } catch (problem) {
    const { message } = /** @type {Error} */ (problem);
    // Nobody can say what became of those that have told nothing yet.
    const left = names.filter((name) => outcomes.peek().get(name)?.outcome === "pending");
    const results = left.map((service) => ({ service, outcome: /** @type {const} */ ("unknown"), message }));
    tell(action, results, message);
  }
}

/**
 * @param {Action} action
 * @param {TriggerResult[]} results
 * @param {string} [problem]
 */
function tell(action, results, problem = "") {
  const bad = results.filter((result) => !["done", "ignored"].includes(result.outcome));
  batch(() => {
    remember(results.map(({ service, outcome, message }) => [service, { action, outcome, message }]));
    if (bad.length) report.value = { action, results, problem };
  });
  const { name, done } = VERBS[action];
  if (bad.length === 1) toast(`${name} ${bad[0].service}: ${bad[0].outcome.replace("_", " ")}: ${bad[0].message}`, "bad");
  else if (bad.length) toast(`${name}: ${many(bad.length, "service")} of ${results.length} not ${done}.`, "bad");
  else if (results.length === 1) toast(`${results[0].service}: ${results[0].message || done}`, "good");
  else {
    const ignored = results.filter((result) => result.outcome === "ignored").length;
    toast(`${many(results.length - ignored, "service")} ${done}${ignored ? `, ${ignored} ignored: no need` : ""}.`, "good");
  }
}

// Each outcome is told by an event before the slowest agent has answered.
onEvent((event) => {
  if (event.kind !== "trigger" || !event.service) return;
  const { action, outcome, message } = event.data;
  const mine = outcomes.peek().get(event.service);
  if (mine?.outcome === "pending" && mine.action === action) remember([[event.service, { action, outcome, message }]]);
});
