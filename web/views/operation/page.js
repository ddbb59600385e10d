// One operation: while it goes on, its tree; when it is over, a report.

import { COMMANDS, follow, nameOf, summed } from "/lib/commands.js";
import { call } from "/lib/api.js";
import { html, useComputed, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { can, live } from "/lib/store.js";
import { took } from "/lib/steps.js";
import { Time, now } from "/lib/time.js";
import { confirm } from "/components/dialog.js";
import { StepMark, stateOf } from "/components/step.js";
import { ProblemNote } from "/components/toast.js";
import { useOperation } from "/views/operation/live.js";
import { Log, Tree } from "/views/operation/tree.js";
import { useAct } from "/views/parts/loading.js";
import { Page } from "/views/parts/page.js";

/** @import { Operation } from "/lib/types.js" */
/** @import { Live } from "/views/operation/live.js" */

/** The most targets that stand below the heading. */
const LISTED = 12;

/** @param {{id: string}} props */
export default function OperationPage({ id }) {
  const held = useOperation(id);
  const choice = useSignal("");
  const one = held.operation.value;
  if (!one) {
    if (!held.problem.value) return html`<p role="status">Loading the operation…</p>`;
    return html`<${Page} title="Operation"><${ProblemNote} problem=${held.problem.value} /><p><a href=${href("/operations")}>All operations</a></p><//>`;
  }
  const over = one.state === "ended";
  const view = choice.value || (over ? "report" : "tree");
  const name = COMMANDS.some(({ command }) => command === one.command) ? nameOf(one.command) : one.command;
  const tab = (/** @type {string} */ key, /** @type {string} */ label) => html`<button type="button" aria-pressed=${view === key} data-view=${key} onClick=${() => (choice.value = key)}>${label}</button>`;
  return html`<${Page} title="${name} ${summed(one.targets)}" class="operation-page" about=${html`by ${one.actor}, <${Time} at=${one.created_at} as="date" /> <code class="id" title=${one.id}>${one.id.slice(0, 8)}</code>`} actions=${html`<${Buttons} one=${one} />`}>
    <section class=${`now op-${stateOf(one)}`} aria-label="How far it is" data-operation=${one.id} data-state=${one.state} data-result=${one.result ?? ""}>
      <p class="big"><${StepMark} state=${stateOf(one)} /> ${!over && !live.value.live && html`<span class="quiet">(last known)</span>`}<${Lasted} one=${one} /></p>
      ${one.message && html`<p class=${over && one.result !== "done" && one.result !== "ignored" ? "bad" : ""}>${one.message}</p>`}
      <${Progress} counts=${one.services} />
      ${one.retry_of && html`<p>Tries again what failed of <a href=${href(`/operations/${one.retry_of}`)}>an operation before</a>.</p>`}
      ${one.targets.length > 3 && html`<p class="quiet">On ${one.targets.slice(0, LISTED).join(", ")}${one.targets.length > LISTED && ` and ${one.targets.length - LISTED} more`}</p>`}
    </section>
    <${ProblemNote} problem=${held.problem.value} />
    <div class="tabs" role="group" aria-label="Shown as">${tab("report", "Services")}${tab("tree", "Tree")}${tab("log", "Log")}</div>
    ${view === "log" ? html`<${Log} held=${held} />` : html`<${Tree} held=${held} report=${view === "report"} />`}
  <//>`;
}

/** @param {{one: Operation}} props */
function Lasted({ one }) {
  const text = useComputed(() => took((one.ended_at ? Date.parse(one.ended_at) : now.value) - Date.parse(one.created_at)));
  return html` <span class="quiet took">${one.ended_at ? "took " : "for "}${text}</span>`;
}

/** How many are how far. @param {{counts: Operation["services"]}} props */
function Progress({ counts }) {
  const { total, planned, running, done, ignored, failed, skipped } = counts;
  const over = done + ignored + failed + skipped;
  const parts = /** @type {[number, string, string][]} */ ([[failed, "not done", "bad"], [running, "in hand", "moving"], [done, "done", "good"], [ignored, "not needed", "quiet"], [skipped, "not begun", "quiet"], [planned, "to come", "quiet"]]);
  return html`<progress max=${Math.max(1, total)} value=${over} aria-label="Services that are over">${over} of ${total}</progress>
    <p class="progress">${total} ${total === 1 ? "service" : "services"}: ${parts.filter(([count]) => count).map(([count, word, tone], at) => html`${at > 0 && ", "}<span class=${tone} data-count=${word}><b>${count}</b> ${word}</span>`)}</p>`;
}

/** @param {{one: Operation}} props */
function Buttons({ one }) {
  const act = useAct();
  if (!can("trigger")) return null;
  const off = !live.value.live || act.busy.value;
  const path = `/operations/${one.id}`;
  const run = async (/** @type {import("/components/dialog.js").Question} */ question, /** @type {() => Promise<any>} */ work) => {
    if (await confirm(question)) await act.run(work);
  };
  const cancel = () =>
    run({ title: "Cancel the operation?", body: "Services in hand are finished, with their hooks; no other is begun.", action: "Cancel the operation" }, () => call("POST", `${path}/cancel`, { now: false }));
  const abandon = () =>
    run(
      { title: "Cancel now?", body: "Nothing more is done, also not for services in hand: one that was told to stop may stay stopped. Hooks after the step in hand are skipped.", action: "Cancel now", danger: true },
      () => call("POST", `${path}/cancel`, { now: true }),
    );
  const resume = () =>
    run({ title: "Resume the operation?", body: "The agents are asked what became of the steps in hand; no step is run a second time. Then it goes on where it ended.", action: "Resume" }, () => call("POST", `${path}/resume`, {}));
  const { failed, skipped } = one.services;
  const retry = () =>
    run({ title: "Try again what was not done?", body: `A new operation ${nameOf(one.command).toLowerCase()}s the ${failed + skipped} of ${one.services.total} services that are not done, in the same order.`.replace("Kill and starts", "kills and starts"), action: "Try again" }, async () => {
      follow(await call("POST", `${path}/retry`, {}));
    });
  const button = (/** @type {string} */ action, /** @type {string} */ label, /** @type {() => void} */ onClick, danger = false) =>
    html`<button type="button" data-action=${action} class=${danger ? "danger" : ""} disabled=${off} onClick=${onClick}>${label}…</button>`;
  return html`
    ${one.state === "running" && button("cancel", "Cancel", cancel)}
    ${(one.state === "running" || one.state === "cancelling") && button("cancel-now", "Cancel now", abandon, true)}
    ${one.state === "interrupted" && button("resume", "Resume", resume)}
    ${one.state === "interrupted" && button("cancel-now", "Give up", abandon)}
    ${one.state === "ended" && failed + skipped > 0 && button("retry", "Try again", retry)}
    <${ProblemNote} problem=${act.problem.value} />`;
}
