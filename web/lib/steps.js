// An operation's tree in words and lines, and the marks of how far it is. Rules only: no store.

import { html } from "/lib/html.js";
import { Shape } from "/components/state.js";

/** @import { Budget, LogLine, Operation, Step, StepState, TreeLine } from "/lib/types.js" */

/**
 * A limit, as people set it.
 * @param {number} milliseconds
 */
export function seconds(milliseconds) {
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const all = milliseconds / 1000;
  return all < 120 || all % 60 ? `${Math.round(all * 10) / 10} s` : `${all / 60} min`;
}

/**
 * How long something took.
 * @param {number} milliseconds
 */
export function took(milliseconds) {
  if (milliseconds < 10_000) return `${(Math.max(0, milliseconds) / 1000).toFixed(1)} s`;
  const all = Math.floor(milliseconds / 1000);
  if (all < 60) return `${all} s`;
  return all < 3600 ? `${Math.floor(all / 60)} min ${all % 60} s` : `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
}

/**
 * What a step is, in a few words.
 * @param {Step} step
 */
export function named(step) {
  if (step.kind === "group") return step.collection ?? (step.is_grid ? "the whole grid" : "everything that was named");
  if (step.kind === "service") return step.service ?? "";
  if (step.kind === "hook") return `${step.event}: ${step.program}`;
  if (step.kind === "signal") return step.if_stop_timed_out ? "kill, if it does not stop" : (step.signal ?? "");
  if (step.kind === "wait") return `wait until ${step.until}`;
  return `pause ${seconds(step.delay_ms ?? 0)}`;
}

/**
 * What a step is, with its limit.
 * @param {Step} step
 */
export function briefly(step) {
  const name = named(step);
  if (step.kind === "hook") return `hook ${name}${step.place === "manager" ? " on the manager" : ""}, at most ${seconds(step.timeout_ms ?? 0)}${step.on_failure === "warn" ? ", a failure is only noted" : ""}`;
  if (step.kind === "wait") return `${name}${step.if_stop_timed_out ? " (after the kill)" : ""}, at most ${seconds(step.timeout_ms ?? 0)}`;
  return name;
}

/**
 * In which order members are worked on, in words.
 * @param {Pick<Step, "mode"|"max_parallel"|"on_failure"|"failure_budget">} group
 */
export function ordering({ mode, max_parallel: most, on_failure: failure, failure_budget: budget }) {
  const order = mode === "parallel" ? (most ? `${most} at a time` : "all at the same time") : "one after the other";
  return `${order}, ${failure === "continue" ? "goes on after a failure" : "stops at the first failure"}${budget == null ? "" : `, at most ${budget} may fail`}`;
}

/**
 * A failure budget as people write it.
 * @param {Budget} budget
 */
export function budgetText(budget) {
  if (budget === null || typeof budget !== "object") return budget == null ? "" : String(budget);
  return "percent" in budget ? `${budget.percent}%` : String(budget.count);
}

/**
 * The children of each node.
 * @param {Step[]} steps
 * @returns {number[][]}
 */
export function childrenOf(steps) {
  /** @type {number[][]} */
  const children = steps.map(() => []);
  for (const { number, parent } of steps) if (parent != null) children[parent]?.push(number);
  return children;
}

/** The most kinds of what is done that are told. */
const RECIPES = 20;

/**
 * What is done, once for all services for which it is the same.
 * @param {Step[]} steps
 * @param {Set<number>} services the numbers of those that are told of
 * @returns {{steps: Step[], names: string[]}[]}
 */
export function recipes(steps, services) {
  const children = childrenOf(steps);
  /** @type {Map<string, {steps: Step[], names: string[]}>} */
  const found = new Map();
  for (const number of services) {
    const own = children[number].map((child) => steps[child]);
    const key = own.map(briefly).join("\n");
    const known = found.get(key);
    if (known) known.names.push(named(steps[number]));
    else found.set(key, { steps: own.filter((step) => step.state === "planned"), names: [named(steps[number])] });
  }
  return [...found.values()].slice(0, RECIPES);
}

/** The most lines of a step's output that stand in the tree. */
const OUTPUT = 8;

/** Operations with no more services are small: their groups stay open. */
const SMALL = 30;

/** @param {StepState} state */
const ended = (state) => state !== "planned" && state !== "running";

/** @param {StepState} state */
const good = (state) => state === "done" || state === "ignored";

/** In a report what went wrong comes first. @param {Step} step */
const rank = ({ state }) => (state === "running" ? 0 : state === "skipped" ? 2 : state === "planned" ? 3 : state === "done" ? 4 : state === "ignored" ? 5 : 1);

/**
 * The lines that are shown.
 * @param {Step[]} steps
 * @param {number[][]} children
 * @param {Map<number, string[]>} output the log's lines, by step
 * @param {Map<number, boolean>} opened what was opened or folded by hand
 * @param {{report: boolean, total: number, row: (step: Step, depth: number, text?: string) => {height: number, long?: boolean}}} how `report`: services one below the other, failures first; `row`: how high a step is, or a text of it
 * @returns {TreeLine[]}
 */
export function treeLines(steps, children, output, opened, { report, total, row }) {
  /** @type {TreeLine[]} */
  const lines = [];
  const visit = (/** @type {number} */ number, /** @type {number} */ depth) => {
    const step = steps[number];
    const inner = step.kind === "group" || step.kind === "service";
    const fold = inner && children[number].length > 0;
    const open = fold && (opened.get(number) ?? unfolded(step));
    lines.push({ key: `${number}`, ...row(step, depth), number, depth, fold, open });
    if (inner && !open) return;
    // What the other steps log is what is said of them.
    const said = step.kind === "hook" ? (output.get(number) ?? []) : [];
    const from = Math.max(0, said.length - OUTPUT);
    const say = (/** @type {number} */ at, /** @type {string} */ text) => lines.push({ key: `${number} ${at}`, ...row(step, depth + 1, text), number, depth: depth + 1, text });
    if (from) say(-1, `… ${from.toLocaleString("en")} more before, in the log`);
    for (let at = from; at < said.length; at++) say(at, said[at]);
    // Nobody reads what there was no need for.
    const shown = (/** @type {Step} */ child) => step.kind !== "service" || child.state !== "skipped" || (!good(step.state) && !child.if_stop_timed_out);
    // In a large operation what is done makes room for what is in hand.
    const over = !report && total > SMALL && step.kind === "group" ? children[number].filter((child) => steps[child].kind === "service" && good(steps[child].state)) : [];
    const folded = over.length > 1 && !opened.get(-1 - number);
    if (over.length > 1) lines.push({ key: `${number} over`, height: 32, number, depth: depth + 1, fold: true, open: !folded, sum: over.length });
    for (const child of children[number]) if (shown(steps[child]) && !(folded && steps[child].kind === "service" && good(steps[child].state))) visit(child, depth + 1);
  };
  const unfolded = (/** @type {Step} */ step) => {
    if (step.kind === "group") return step.number === 0 || total <= SMALL || !good(step.state);
    if (step.state === "running") return total <= SMALL;
    return ended(step.state) && !good(step.state) && step.state !== "skipped" && total <= 10 * SMALL;
  };
  if (!steps.length) return lines;
  if (!report) visit(0, 0);
  else {
    for (const step of steps) if (step.kind === "hook" && steps[step.parent ?? 0]?.kind === "group" && !good(step.state) && step.state !== "skipped") visit(step.number, 0);
    const services = steps.filter((step) => step.kind === "service");
    for (const step of services.sort((a, b) => rank(a) - rank(b) || a.number - b.number)) visit(step.number, 0);
  }
  return lines;
}

/**
 * A step that was told later takes the place of one before, unless that has ended already.
 * @param {Step|undefined} known
 * @param {Step} told
 */
export const newer = (known, told) => !known || !ended(known.state) || ended(told.state);

/**
 * The log's lines by step.
 * @param {LogLine[]} log
 * @returns {Map<number, string[]>}
 */
export function byStep(log) {
  /** @type {Map<number, string>} */
  const found = new Map();
  // A line may come in parts.
  for (const { step, text } of log) found.set(step, (found.get(step) ?? "") + text);
  return new Map([...found].map(([step, text]) => [step, text.replace(/\n$/, "").replaceAll("\t", "    ").split("\n")]));
}

// How far a step or an operation is: colour, shape and word, as the states of services are shown.

/** @typedef {StepState|"cancelling"|"interrupted"|"ended"} Told */

/** @type {Record<string, import("/components/state.js").Shown>} */
const LIKE = { done: "active", running: "starting", cancelling: "stopping", interrupted: "unresponsive", not_available: "not_available", planned: "stopped", ignored: "stopped", skipped: "stopped", cancelled: "stopped", superseded: "stopped" };

/** What words mean that need it.
 * @type {Record<string, string>} */
const PLAIN = { ignored: "there was no need", conflict: "another operation holds it", skipped: "it was not begun", vetoed: "a hook stopped it", superseded: "a kill went before it", interrupted: "the manager ended in the middle" };

/**
 * In words.
 * @param {string} state
 */
export const toldAs = (state) => state.replace("_", " ");

/**
 * The state that colours it.
 * @param {string} state
 */
export const like = (state) => LIKE[state] ?? "crashed";

/**
 * How far an operation is, or how it ended.
 * @param {Operation} operation
 * @returns {Told}
 */
export const stateOf = ({ state, result }) => (state === "ended" ? (result ?? "ended") : state);

/** `mild`: it counts for nothing. @param {{state: Told, mild?: boolean}} props */
export const StepMark = ({ state, mild }) => html`<span class="state s-${mild ? "stopped" : like(state)}" title=${PLAIN[state]}><${Shape} state=${like(state)} /><span class="word">${toldAs(state)}</span></span>`;
