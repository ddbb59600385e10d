// What a trigger would do, before it is confirmed.

import { html } from "/lib/html.js";
import { services } from "/lib/store.js";
import { stateWord } from "/components/state.js";

/** @import { Action, TriggerResult } from "/lib/types.js" */

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
