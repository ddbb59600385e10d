// Asks whether a command shall be carried out: what would be done, in which order, and what is left out.

import { claims, nameOf, summed, underWay } from "/lib/commands.js";
import { many } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { html, render, useSignal } from "/lib/html.js";
import { services } from "/lib/store.js";
import { Dialog, ProblemNote } from "/components/dialog.js";
import { briefly, ordering, recipes, seconds, toldAs } from "/lib/steps.js";

/** @import { Command, Operation, Step } from "/lib/types.js" */
/** @typedef {Operation & {steps: Step[]}} Plan */
/** @typedef {{mode: string, max_parallel: number|null, on_failure: string}} Order */

/** From how many on the number must be typed. */
const MANY = 20;

/** What each command means for who is not sure. @type {Record<Command, string>} */
const MEANS = {
  start: "",
  stop: "Each Tomcat is asked to end, finishes what it is doing, and stays stopped until somebody starts it.",
  restart: "Each Tomcat is asked to end, finishes what it is doing, and is started again.",
  kill: "Each process is ended at once. What it is doing is cut off: requests fail, and sessions that are not saved are lost.",
  killstart: "Each process is ended at once, and started again. What it is doing is cut off: requests fail, and sessions that are not saved are lost.",
};

/**
 * @param {Command} command
 * @param {string[]} targets
 * @param {Plan} plan
 * @param {number} agents how many agents are left out
 * @returns {Promise<Order|null>} null if it was not confirmed
 */
export function askCommand(command, targets, plan, agents) {
  const place = document.createElement("div");
  document.getElementById("shell")?.append(place);
  return new Promise((resolve) => {
    const answer = (/** @type {Order|null} */ order) => {
      render(null, place);
      place.remove();
      resolve(order);
    };
    render(html`<${Asking} command=${command} targets=${targets} agents=${agents} first=${plan} answer=${answer} />`, place);
  });
}

/**
 * What becomes of a service for which the command is not simply carried out, as far as that is known now; and why.
 * @param {Command} command
 * @param {Step} step
 * @returns {[string, string]|null}
 */
function foretell(command, { service = "", state, message, impossible }) {
  if (impossible) return ["cannot be done", impossible];
  if (state !== "planned") return [toldAs(state), message];
  const now = services.peek().get(service)?.peek().state;
  if (now === { start: "active", stop: "stopped", kill: "stopped", restart: "", killstart: "" }[command]) return ["not needed", `is ${now} already`];
  if (now === "not_available") return ["cannot be reached now", "its agent is not linked; if that stays so, it is not done"];
  const held = underWay.peek().get(claims.peek().get(service)?.operation ?? "");
  if (held && !command.startsWith("kill")) return ["held by another operation", `${held.command} ${summed(held.targets)}, by ${held.actor}; it is refused as long as that works on it`];
  return null;
}

/** @param {{command: Command, targets: string[], agents: number, first: Plan, answer: (order: Partial<Order>|null) => void}} props */
function Asking({ command, targets, agents, first, answer }) {
  const plan = useSignal(first);
  const order = useSignal(/** @type {Order} */ ({ mode: "sequential", max_parallel: null, on_failure: "stop" }));
  const typed = useSignal("");
  const busy = useSignal(0);
  const problem = useSignal(/** @type {any} */ (null));
  const members = plan.value.steps.filter((step) => step.kind === "service");
  const told = new Map(members.map((step) => [step, foretell(command, step)]));
  const todo = members.filter((step) => !told.get(step));
  const others = members.filter((step) => told.get(step));
  const danger = command.startsWith("kill");
  const must = todo.length > MANY ? String(todo.length) : "";
  const ready = !busy.value && !problem.value && todo.length > 0 && (!must || typed.value.trim() === must);
  // The order is the collection's own where it is the only target.
  const root = plan.value.steps[0];
  const ordered = root?.kind === "group" && !root.collection && members.length > 1;
  const change = async (/** @type {Partial<Order>} */ part) => {
    order.value = { ...order.peek(), ...part };
    const mine = ++busy.value;
    problem.value = null;
    try {
      const next = await call("POST", "/operations", { command, targets, order: order.peek(), dry_run: true });
      if (mine === busy.peek()) plan.value = next;
    } catch (error) {
      if (mine === busy.peek()) problem.value = error;
    } finally {
      if (mine === busy.peek()) busy.value = 0;
    }
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    // A collection keeps its own order.
    if (ready) answer(ordered ? order.peek() : {});
  };
  const what = todo.length === 1 ? todo[0].service : members.length === 1 ? members[0].service : targets.length === 1 && !members.some((one) => one.service === targets[0]) ? `${targets[0]}: ${many(todo.length, "service")}` : many(todo.length, "service");
  const parallel = order.value.mode === "parallel";
  return html`<${Dialog} title=${todo.length ? `${nameOf(command)} ${what}` : `Nothing to ${nameOf(command).toLowerCase()}`} wide late onClose=${() => answer(null)}>
    <form onSubmit=${submit} data-command=${command}>
      <div class="body plan" aria-busy=${busy.value > 0}>
        ${todo.length > 0 && MEANS[command] && html`<p class=${danger ? "problem" : ""}>${MEANS[command]}</p>`}
        ${todo.map(({ service, message }) => message && html`<p class="problem">${service}: ${message}</p>`)}
        ${ordered && todo.length > 0 && html`<div class="order">
          <label class="field">Order <select name="mode" onChange=${(/** @type {any} */ event) => change({ mode: event.target.value, max_parallel: null })}>
            <option value="sequential" selected=${!parallel}>one after the other</option><option value="parallel" selected=${parallel}>at the same time</option></select></label>
          ${parallel && html`<label class="field">At most <input name="max" type="number" min="1" max="10000" placeholder="all" value=${order.value.max_parallel ?? ""} onChange=${(/** @type {any} */ event) => change({ max_parallel: Number(event.target.value) || null })} /></label>`}
          <label class="field">If one fails <select name="failure" onChange=${(/** @type {any} */ event) => change({ on_failure: event.target.value })}>
            <option value="stop">begin no other</option><option value="continue" selected=${order.value.on_failure === "continue"}>go on</option></select></label>
        </div>`}
        <${ProblemNote} problem=${problem.value} />
        ${todo.length > 0 && html`<${Groups} steps=${plan.value.steps} />
          <div class="names recipes" tabindex="0" role="region" aria-label="What is done">${recipes(plan.value.steps, new Set(todo.map((one) => one.number))).map(
            ({ steps, names }) => html`<section key=${names[0]}>
              ${names.length > 3 ? html`<details><summary><b>${many(names.length, "service")}</b></summary><ul>${names.map((name) => html`<li key=${name}>${name}</li>`)}</ul></details>` : html`<p><b>${names.join(", ")}</b></p>`}
              <ol>${steps.map((step) => html`<li key=${step.number} class=${step.if_stop_timed_out ? "quiet" : ""}>${briefly(step)}</li>`)}</ol>
            </section>`,
          )}</div>`}
        ${[...Map.groupBy(others, (step) => told.get(step)?.[0])].map(
          ([kind, left]) => html`<details key=${kind} class="left-out">
            <summary>${left.length === 1 ? left[0].service : many(left.length, "service")}: ${kind}</summary>
            <ul class="names" tabindex="0">${left.map((step) => html`<li key=${step.number}><b>${step.service}</b> <span class="quiet">${told.get(step)?.[1]}</span></li>`)}</ul>
          </details>`,
        )}
        ${agents > 0 && html`<p class="note">${agents === 1 ? "One agent is left out" : `${agents} agents are left out`}: select agents alone to work on them.</p>`}
        ${members.length === 0 && html`<p>${summed(targets)} holds no service.</p>`}
      </div>
      ${must && html`<label class="field"><span>Type <b>${must}</b> to go on</span> <input autocomplete="off" data-first data-typed value=${typed} onInput=${(/** @type {any} */ event) => (typed.value = event.target.value)} /></label>`}
      <footer>
        <button type="button" data-first=${!todo.length || (danger && !must) ? "" : null} onClick=${() => answer(null)}>${todo.length ? "Cancel" : "Close"}</button>
        ${todo.length > 0 && html`<button type="submit" class=${danger ? "danger" : "primary"} disabled=${!ready} data-first=${!must && !danger ? "" : null} data-confirm>${nameOf(command)}${todo.length > 1 ? ` ${todo.length}` : ""}</button>`}
      </footer>
    </form>
  <//>`;
}

/** The most groups whose order is told. */
const GROUPS = 12;

/** The order of collections, and the hooks around them. @param {{steps: Step[]}} props */
function Groups({ steps }) {
  const groups = steps.filter((step) => step.kind === "group" && (step.collection || step.is_grid));
  if (!groups.length) return null;
  const line = (/** @type {Step} */ group) => {
    const hooks = steps.filter((step) => step.kind === "hook" && step.parent === group.number);
    return html`<li key=${group.number}><b>${group.collection ?? "the whole grid"}</b> <span class="quiet">${ordering(group)}${hooks.map((hook) => `, ${hook.event} ${hook.program} (at most ${seconds(hook.timeout_ms ?? 0)})`)}</span></li>`;
  };
  return html`<ul class="names" tabindex="0" aria-label="Collections">${groups.slice(0, GROUPS).map(line)}${groups.length > GROUPS && html`<li class="quiet">and ${groups.length - GROUPS} more</li>`}</ul>`;
}
