// Triggers: what would happen is asked of the manager first, confirmed, done, and told.

import { call } from "/lib/api.js";
import { batch, html, signal } from "/lib/html.js";
import { route } from "/lib/router.js";
import { me, onEvent, onForget, services } from "/lib/store.js";
import { close, confirm, toast } from "/components/dialog.js";
import { stateWord } from "/components/state.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Action, Answer, Outcome, Report, TriggerResult } from "/lib/types.js" */

/** The most targets of one call. */
const CHUNK = 1000;

/** How long good outcomes are shown, and how often it is looked for old ones, in milliseconds. */
const [STAY, LOOK] = [120_000, 10_000];

/** After which time it is said that an answer is waited for, in milliseconds. */
const SLOW = 300;

/** From how many on the number must be typed. */
const MANY = 20;

/** What became of the last trigger on each service, until it is dismissed. @type {Signal<Map<string, Outcome>>} */
export const outcomes = signal(new Map());

/** The last report that has failures to show. @type {Signal<Report|null>} */
export const report = signal(null);

/** Which action the manager or the user is being asked about, or "": one at a time. @type {Signal<import("/lib/types.js").Command|"">} */
export const asking = signal("");

onForget(() => {
  outcomes.value = new Map();
  report.value = null;
});

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

/** @param {[string, Omit<Outcome, "at">][]} news */
function remember(news) {
  const at = Date.now();
  const next = new Map(outcomes.peek());
  for (const [name, outcome] of news) next.set(name, { ...outcome, at });
  outcomes.value = next;
}

/** @param {{outcome: string}} result */
const wentWell = ({ outcome }) => outcome === "done" || outcome === "ignored";

setInterval(() => {
  const old = Date.now() - STAY;
  const names = [...outcomes.peek()].filter(([, outcome]) => wentWell(outcome) && outcome.at < old).map(([name]) => name);
  if (names.length) dismiss(names);
}, LOOK);

/**
 * @param {Action} action
 * @param {string[]} names
 * @param {boolean} dryRun
 * @returns {Promise<Answer>}
 */
async function ask(action, names, dryRun) {
  /** @type {string[][]} */
  const chunks = [];
  for (let i = 0; i < names.length; i += CHUNK) chunks.push(names.slice(i, i + CHUNK));
  const answers = await Promise.allSettled(chunks.map((targets) => call("POST", "/trigger", { action, targets, dry_run: dryRun })));
  /** @type {Answer} */
  const all = { results: [], problem: "", any: false };
  answers.forEach((answer, i) => {
    if (answer.status === "fulfilled") {
      all.any = true;
      all.results.push(...answer.value.results);
      return;
    }
    const { status, message } = /** @type {import("/lib/api.js").Problem} */ (answer.reason);
    all.problem ||= message;
    // A call that was refused did nothing. Of one that broke off nobody can say it.
    /** @type {TriggerResult["outcome"]} */
    const outcome = status >= 400 && status < 500 ? "refused" : "unknown";
    all.results.push(...chunks[i].map((service) => ({ service, outcome, message })));
  });
  return all;
}

/**
 * Plans, asks, and triggers services by name. Resolves when it is over, or was not confirmed. While one is being asked
 * about, no other is.
 * @param {Action} action
 * @param {string[]} names
 * @returns {Promise<void>}
 */
export async function trigger(action, names) {
  const known = names.filter((name) => services.peek().has(name));
  if (!known.length || asking.peek()) return;
  asking.value = action;
  let planned;
  try {
    planned = await confirmed(action, known);
  } finally {
    asking.value = "";
  }
  if (planned.length) await carryOut(action, planned);
}

/**
 * Asks the manager what would happen, and the user whether it shall.
 * @param {Action} action
 * @param {string[]} names
 * @returns {Promise<string[]>} the services to trigger
 */
async function confirmed(action, names) {
  const here = () => route.peek().path.join("/");
  const from = here();
  let note = -1;
  const slow = setTimeout(() => {
    note = toast(`${VERBS[action].name}: asking what would happen…`);
  }, SLOW);
  const { results: plan, problem, any } = await ask(action, names, true);
  clearTimeout(slow);
  close(note);
  if (!any) {
    toast(`${VERBS[action].name}: ${problem}`, "bad");
    return [];
  }
  // Who has gone elsewhere meanwhile does something else.
  if (here() !== from) return [];
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
  return yes ? planned : [];
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
  const who = me.peek()?.name;
  const { results, problem } = await ask(action, names, false);
  // It is not told to who came after.
  if (me.peek()?.name !== who) return;
  hear();
  const told = results.map((result) => {
    const known = outcomes.peek().get(result.service);
    // Where the answer was lost, an event may have told it.
    const better = result.outcome === "unknown" && known?.action === action && known.outcome !== "pending";
    return better ? { service: result.service, outcome: /** @type {TriggerResult["outcome"]} */ (known.outcome), message: known.message } : result;
  });
  tell(action, told, problem);
}

/**
 * @param {Action} action
 * @param {TriggerResult[]} results
 * @param {string} problem
 */
function tell(action, results, problem) {
  const bad = results.filter((result) => !wentWell(result));
  // What was triggered anew meanwhile waits for that one's answer.
  const mine = results.filter(({ service }) => (outcomes.peek().get(service)?.action ?? action) === action);
  batch(() => {
    remember(mine.map(({ service, outcome, message }) => [service, { action, outcome, message }]));
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

/** What events tell, until all that came together were read. @type {Map<string, Omit<Outcome, "at">>} */
const heard = new Map();

/** Takes what events have told of triggers whose answer is waited for, or was lost. */
function hear() {
  const news = [...heard].filter(([name, { action }]) => {
    const mine = outcomes.peek().get(name);
    return mine?.action === action && (mine.outcome === "pending" || mine.outcome === "unknown");
  });
  heard.clear();
  if (!news.length) return;
  const told = new Map(news);
  const shown = report.peek();
  batch(() => {
    remember(news);
    if (!shown) return;
    const results = shown.results.map((result) => {
      const late = result.outcome === "unknown" ? told.get(result.service) : undefined;
      return late?.action === shown.action ? { ...result, outcome: /** @type {any} */ (late.outcome), message: late.message } : result;
    });
    report.value = results.every(wentWell) ? null : { ...shown, results };
  });
}

// Each outcome is told by an event before the slowest agent has answered. That of somebody else's trigger is not ours.
onEvent((event) => {
  if (!event.service) return;
  if (event.kind === "service.gone" && outcomes.peek().has(event.service)) dismiss([event.service]);
  if (event.kind !== "trigger" || event.actor !== me.peek()?.name) return;
  if (!heard.size) queueMicrotask(hear);
  const { action, outcome, message } = event.data;
  heard.set(event.service, { action, outcome, message });
});

// What a trigger would do, before it is confirmed.

/** What each action means for who is not sure. */
const MEANS = {
  start: "",
  stop: "Each Tomcat is asked to end, finishes what it is doing, and stays stopped until somebody starts it.",
  kill: "Each process is ended at once. What it is doing is cut off: requests fail, and sessions that are not saved are lost.",
};

/** What is said about those that are left out, by outcome. */
const LEFT_OUT = {
  not_available: "cannot be reached: nothing will be sent",
  refused: "will be refused",
  failed: "cannot be done",
  unknown: "cannot be foretold",
};

/**
 * Why some are left out, after their name or number.
 * @param {TriggerResult[]} results of one outcome, those that are ignored of one state
 */
function why([{ outcome, service }, ...more]) {
  if (outcome !== "ignored") return LEFT_OUT[/** @type {keyof typeof LEFT_OUT} */ (outcome)] ?? outcome;
  const state = services.peek().get(service)?.peek().state ?? "stopped";
  return more.length ? `are ${stateWord(state)} already and will be ignored` : `is ${stateWord(state)} already and will be ignored`;
}

/**
 * @param {{action: Action, plan: TriggerResult[]}} props
 */
export function Plan({ action, plan }) {
  const planned = plan.filter((result) => result.outcome === "planned");
  /** @type {Map<string, TriggerResult[]>} */
  const others = new Map();
  for (const result of plan) {
    if (result.outcome === "planned") continue;
    const state = result.outcome === "ignored" ? services.peek().get(result.service)?.peek().state : "";
    const kind = `${result.outcome} ${state}`;
    others.set(kind, [...(others.get(kind) ?? []), result]);
  }
  const item = (/** @type {TriggerResult} */ { service, message }) =>
    html`<li key=${service}><b>${service}</b> <span class="quiet">${message}</span></li>`;
  const rest = (/** @type {[string, TriggerResult[]]} */ [kind, results]) => {
    const who = results.length === 1 ? results[0].service : results.length;
    return html`<details key=${kind} class="left-out">
      <summary>${who} ${why(results)}</summary>
      <ul class="names" tabindex="0">${results.map(item)}</ul>
    </details>`;
  };
  return html`<div class="plan">
    ${planned.length > 0 && MEANS[action] && html`<p class=${action === "kill" ? "problem" : ""}>${MEANS[action]}</p>`}
    ${planned.length > 0 && html`<ul class="names" tabindex="0" aria-label="To ${action}">${planned.map(item)}</ul>`}
    ${[...others].map(rest)}
  </div>`;
}
