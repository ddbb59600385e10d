// Operations: what is carried out now, and what was; and the page of one: while it goes on, its tree; when it is over, a
// report. Only the lines that are seen are in the document.

import { many } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { COMMANDS, follow, nameOf, summed, underWay } from "/lib/commands.js";
import { html, useComputed, useLayoutEffect, useRef, useSignal } from "/lib/html.js";
import { href, route, setQuery } from "/lib/router.js";
import { byStep, like, named, ordering, seconds, stateOf, StepMark, took, treeLines } from "/lib/steps.js";
import { can, live, services } from "/lib/store.js";
import { full, now, Time } from "/lib/time.js";
import { confirm, ProblemNote } from "/components/dialog.js";
import { Virtual } from "/components/virtual.js";
import { narrow } from "/views/grid/model.js";
import { useOperation } from "/views/operations/live.js";
import { useAct, useList } from "/views/parts/loading.js";
import { Choice, Filter, Listing, Page, Table } from "/views/parts/page.js";

/** @typedef {import("/lib/types.js").Live} Live */
/** @import { Operation, Step, TreeLine } from "/lib/types.js" */

/** @type {[string, string][]} */
const STATES = [["", "any"], ["running", "running"], ["cancelling", "cancelling"], ["interrupted", "interrupted"], ["ended", "ended"]];

export default function Operations() {
  const id = route.value.path[1];
  return id ? html`<${OperationPage} key=${id} id=${id} />` : html`<${All} />`;
}

function All() {
  const { query } = route.value;
  const at = (/** @type {string} */ key) => query.get(key) ?? "";
  const asked = new URLSearchParams({ limit: "100" });
  for (const key of ["state", "actor", "service"]) if (at(key)) asked.set(key, at(key));
  const list = /** @type {import("/lib/types.js").List<Operation>} */ (useList(`/operations?${asked}`, /^operation\.state$/));
  const live = underWay.value;
  const rank = (/** @type {Operation} */ { state }) => (state === "ended" ? 1 : 0);
  const rows = list.items.value.map((one) => (one.state === "ended" ? one : (live.get(one.id) ?? one))).sort((a, b) => rank(a) - rank(b));
  const typed = (/** @type {string} */ name) => ({ name, value: at(name), onValue: (/** @type {string} */ value) => setQuery({ [name]: value }) });
  return html`<${Page} title="Operations" about="Commands that wait until they are done: ${COMMANDS.map(({ name }) => name.toLowerCase()).join(", ")}.">
    <form class="filters" role="search" aria-label="Filter the operations" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <${Choice} label="State" name="state" options=${STATES} value=${at("state")} onChange=${(/** @type {any} */ event) => setQuery({ state: event.currentTarget.value })} />
      <${Filter} label="Who" ...${typed("actor")} placeholder="name, exactly" />
      <${Filter} label="Service" ...${typed("service")} placeholder="name, exactly" />
      ${query.size > 0 && html`<div class="buttons"><button type="button" onClick=${() => setQuery({ state: null, actor: null, service: null })}>Clear the filters</button></div>`}
    </form>
    <${Listing} list=${list} what="operations" filtered empty=${query.size ? "No operation matches these filters." : "No operation yet. Select services in the grid, and start, stop or restart them."}>
      <${Table} caption="Operations, those under way first" rows=${rows} keyOf=${(/** @type {Operation} */ one) => one.id} columns=${COLUMNS} rowProps=${(/** @type {Operation} */ one) => ({ "data-operation": one.id, "data-state": one.state })} />
    <//>
  <//>`;
}

/** The most targets that are named. */
const NAMED = 3;

/** @type {import("/lib/types.js").Column<Operation>[]} */
const COLUMNS = [
  {
    label: "Operation",
    head: true,
    cell: ({ id, command, targets }) => html`<a class="name" href=${href(`/operations/${id}`)}>${nameOf(command)} ${targets.slice(0, NAMED).join(", ")}${targets.length > NAMED && ` and ${targets.length - NAMED} more`}</a>`,
  },
  { label: "State", cell: (one) => html`<${StepMark} state=${stateOf(one)} />` },
  { label: "Services", cell: ({ services: counts }) => progress(counts) },
  { label: "Who", cell: ({ actor }) => actor },
  { label: "Begun", cell: ({ created_at: at }) => html`<span><${Time} at=${at} suffix=" ago" /> <span class="quiet roomy">(<${Time} at=${at} as="date" />)</span></span>` },
  { label: "Took", cell: (one) => one.state !== "interrupted" && html`<${Took} from=${one.created_at} to=${one.ended_at} />` },
];

/** @param {Operation["services"]} counts */
function progress({ total, done, ignored, failed, skipped }) {
  const bad = [failed && `${failed} not done`, skipped && `${skipped} skipped`].filter(Boolean).join(", ");
  return html`<span>${done + ignored} of ${many(total, "service")}${bad && html`, <span class=${failed ? "bad" : ""}>${bad}</span>`}</span>`;
}

/** How long something took, or takes. @param {{from: string, to: string|null|undefined}} props */
function Took({ from, to }) {
  return html`<span class="took">${took((to ? Date.parse(to) : now.value) - Date.parse(from))}</span>`;
}

/** The most targets that stand below the heading. */
const LISTED = 12;

/** @param {{id: string}} props */
function OperationPage({ id }) {
  const held = useOperation(id);
  const choice = useSignal("");
  const one = held.operation.value;
  if (!one) {
    if (!held.problem.value) return html`<p role="status">Loading the operation…</p>`;
    return html`<${Page} title="Operation"><${ProblemNote} problem=${held.problem.value} /><p><a href=${href("/operations")}>All operations</a></p><//>`;
  }
  const over = one.state === "ended";
  const stuck = one.state === "interrupted";
  const view = choice.value || (over ? "report" : "tree");
  const name = nameOf(one.command);
  const tab = (/** @type {string} */ key, /** @type {string} */ label) => html`<button type="button" aria-pressed=${view === key} data-view=${key} onClick=${() => (choice.value = key)}>${label}</button>`;
  return html`<${Page} title="${name} ${summed(one.targets)}" class="service" about=${html`by ${one.actor}, <${Time} at=${one.created_at} as="date" /> <code class="id" title=${one.id}>${one.id.slice(0, 8)}</code>`} actions=${html`<${Buttons} one=${one} />`}>
    <section class=${`now s-${like(stateOf(one))}`} aria-label="How far it is" data-operation=${one.id} data-state=${one.state} data-result=${one.result ?? ""}>
      <p class="big"><${StepMark} state=${stateOf(one)} /> ${!over && !live.value.live && html`<span class="quiet">(last known) </span>`}<span class="quiet">${stuck ? html`begun <${Time} at=${one.created_at} suffix=" ago" />` : html`${over ? "took" : "for"} <${Took} from=${one.created_at} to=${one.ended_at} />`}</span></p>
      ${one.message && !/^[a-z ]+: of \d/.test(one.message) && html`<p class=${over && one.result !== "done" && one.result !== "ignored" ? "bad" : ""}>${one.message.replace(/: `tomcat-grid.*/, "")}</p>`}
      <${Progress} counts=${one.services} stuck=${stuck} />
      ${one.interruptions?.map((gap) => html`<p class="quiet">Interrupted ${!gap.exact && "after"} <${Time} at=${gap.at} as="date" />${gap.resumed_at && html`, resumed <${Time} at=${gap.resumed_at} as="date" /> by ${gap.resumed_by}`}</p>`)}
      ${one.retry_of && html`<p>Tries again what failed of <a href=${href(`/operations/${one.retry_of}`)}>an operation before</a>.</p>`}
      ${one.targets.length > 3 && html`<p class="quiet">On ${one.targets.slice(0, LISTED).join(", ")}${one.targets.length > LISTED && ` and ${one.targets.length - LISTED} more`}</p>`}
    </section>
    <${ProblemNote} problem=${held.problem.value} />
    <div class="tabs" role="group" aria-label="Shown as">${tab("report", "Services")}${tab("tree", "Tree")}${tab("log", "Log")}</div>
    ${view === "log" ? html`<${Log} held=${held} />` : html`<${Tree} held=${held} report=${view === "report"} />`}
  <//>`;
}

/** How many are how far. @param {{counts: Operation["services"], stuck: boolean}} props `stuck`: nothing goes on */
function Progress({ counts, stuck }) {
  const { total, planned, running, done, ignored, failed, skipped } = counts;
  const parts = /** @type {[number, string, string][]} */ ([[done, "done", "good"], [ignored, "ignored", "quiet"], [failed, "not done", "bad"], [skipped, "skipped", "quiet"], [running, stuck ? "interrupted" : "in hand", stuck ? "bad" : "moving"], [planned, "to come", "none"]]).filter(([count]) => count);
  return html`<div class="meter" aria-hidden="true">${parts.map(([count, , tone]) => html`<span class=${tone} style=${{ flexGrow: count }}></span>`)}</div>
    <p class="progress">${many(total, "service")}: ${parts.map(([count, word, tone], at) => html`${at > 0 && ", "}<span class=${tone} data-count=${word}><b>${count}</b> ${word}</span>`)}</p>`;
}

/** @param {{one: Operation}} props */
function Buttons({ one }) {
  const act = useAct();
  if (!can("trigger")) return null;
  const off = !live.value.live || act.busy.value;
  const path = `/operations/${one.id}`;
  const run = async (/** @type {import("/lib/types.js").Question} */ question, /** @type {() => Promise<any>} */ work) => {
    if (await confirm(question)) await act.run(work);
  };
  const cancel = () =>
    run({ title: "Cancel the operation?", body: "Services in hand are finished, with their hooks; no other is begun.", action: "Cancel the operation", back: "Let it go on" }, () => call("POST", `${path}/cancel`, { now: false }));
  const abandon = () => {
    const words = one.state === "interrupted" ? { title: "Give the operation up?", action: "Give up", back: "Keep it" } : { title: "Cancel now?", action: "Cancel now", back: "Let it go on" };
    const body = "Nothing more is done, also not for services in hand: one that was told to stop may stay stopped. Hooks after the step in hand are skipped.";
    return run({ ...words, body, danger: true }, () => call("POST", `${path}/cancel`, { now: true }));
  };
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

/** @param {{held: Live, report: boolean}} props */
function Tree({ held, report }) {
  const opened = useSignal(/** @type {Map<number, boolean>} */ (new Map()));
  const output = useComputed(() => byStep(held.log.value));
  const known = useRef(/** @type {TreeLine[]} */ ([]));
  const total = held.operation.value?.services.total ?? 0;
  const stuck = held.operation.value?.state === "interrupted";
  const steps = held.steps.value;
  const place = useRef(/** @type {HTMLElement|null} */ (null));
  const width = useSignal(innerWidth);
  useLayoutEffect(() => {
    if (!place.current) return undefined;
    const sizes = new ResizeObserver(([entry]) => (width.value = Math.floor(entry.contentRect.width)));
    sizes.observe(place.current);
    return () => sizes.disconnect();
  }, []);
  const room = width.value;
  const name = Math.max(190, Math.min(308, room * 0.28));
  // Why all of it was skipped is said once.
  const said = (/** @type {Step} */ step) => (step.state === "skipped" && step.message === steps[step.parent ?? 0].message ? "" : about(step));
  const row = (/** @type {Step} */ step, /** @type {number} */ depth, /** @type {string|undefined} */ text) => shape(step, said(step), depth, room, name, text);
  const fresh = treeLines(steps, held.children.value, output.value, opened.value, { report, total, row });
  // A list that is the same has the same places.
  const same = fresh.length === known.current.length && fresh.every((line, at) => line.key === known.current[at].key && line.open === known.current[at].open && line.height === known.current[at].height && line.long === known.current[at].long && line.text === known.current[at].text && line.sum === known.current[at].sum);
  if (!same) known.current = fresh;
  const flip = (/** @type {TreeLine} */ line) => {
    opened.value = new Map(opened.peek()).set(line.sum ? -1 - line.number : line.number, !line.open);
  };
  const folding = fresh.some((line) => line.fold);
  const all = (/** @type {boolean} */ open) => {
    opened.value = new Map(steps.filter((step) => step.kind === "service" || (step.kind === "group" && step.number > 0)).map((step) => [step.number, open]));
  };
  const draw = (/** @type {TreeLine & {top: number}} */ line) => html`<${Line} key=${line.key} line=${line} top=${line.top} step=${steps[line.number]} said=${said(steps[line.number])} stuck=${stuck} onFlip=${flip} />`;
  return html`<section class="tree" ref=${place} style=${{ "--name": `${name}px` }} aria-label=${report ? "Services, those that failed first" : "Tree"}>
    ${folding && html`<p class="links"><button type="button" class="link" onClick=${() => all(true)}>Unfold all</button> · <button type="button" class="link" onClick=${() => all(false)}>Fold all</button></p>`}
    <${Virtual} lines=${known.current} render=${draw} attributes=${{ role: "list" }} />
  </section>`;
}

/** What is said of a step; its state and how long it took are told beside it. @param {Step} step */
const about = (step) => step.message?.replace(/^skipped: |^it ran in \d+ ms(; )?|^[a-z ]+: (?=of \d)/, "") || aside(step);

const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** How wide texts are, in pixels: most of them come again. @type {Map<string, number>} */
const widths = new Map();

/** The most widths that are held. */
const HELD = 20_000;

/** How many lines a text needs, as it is broken and not cut. @param {string} text @param {number} room @param {string} style of the letters */
function linesOf(text, room, style) {
  const key = `${style} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    pen.font = `${style} ${getComputedStyle(document.body).fontFamily}`;
    width = pen.measureText(text).width;
    if (widths.size >= HELD) widths.clear();
    widths.set(key, width);
  }
  // Some of each line stays empty, because words are not broken.
  return width <= room ? 1 : Math.ceil((width * 1.08) / Math.max(60, room));
}

/**
 * How high the line of a step is, or of a text of it.
 * @param {Step} step @param {string} said of it @param {number} depth @param {number} room in pixels, of the line @param {number} name in pixels @param {string} [text]
 */
function shape(step, said, depth, room, name, text) {
  if (text !== undefined) return { height: 20 * linesOf(text, room - 58 - depth * (narrow.value ? 12 : 19), "12.6px monospace,") };
  const letters = /^[gs]/.test(step.kind) ? "600 14px" : "14px";
  if (!narrow.value) return { height: 12 + 20 * Math.max(linesOf(named(step), name - depth * 19, letters), linesOf(said, room - name - 305, "14px")) };
  const inner = room - 46 - depth * 12;
  const long = linesOf(said, inner - 125, "14px") > 1;
  return { long, height: 31 + 20 * linesOf(named(step), inner - 75, letters) + (long ? 20 * linesOf(said, inner, "14px") : 0) };
}

/** @param {{line: TreeLine, top: number, step: Step, said: string, stuck: boolean, onFlip: (line: TreeLine) => void}} props */
function Line({ line, top, step, said, stuck, onFlip }) {
  const { height, depth, open } = line;
  const style = { top: `${top}px`, height: `${height}px`, "--depth": depth };
  if (line.text !== undefined) return html`<div role="listitem" class="step said" style=${style}><code>${line.text || " "}</code></div>`;
  if (line.sum) return html`<div role="listitem" class="step" style=${style} data-over=${line.sum}><button type="button" class="icon fold" aria-expanded=${!!open} aria-label="Services that are done" onClick=${() => onFlip(line)}>${open ? "▾" : "▸"}</button><span class="name quiet">${many(line.sum, "service")} done</span></div>`;
  const { kind } = step;
  const state = stuck && step.state === "running" ? "interrupted" : step.state;
  const name = named(step);
  const mild = step.on_failure === "warn" && kind === "hook" && like(state) === "crashed";
  const box = kind === "group" || kind === "service";
  return html`<div role="listitem" class=${`step k-${kind} s-${mild ? "stopped" : like(state)}${line.long ? " long" : ""}`} style=${style} data-step=${step.number} data-kind=${kind} data-state=${state} data-service=${step.service}>
    ${box && html`<button type="button" class="icon fold" disabled=${!line.fold} aria-expanded=${line.fold ? !!open : undefined} aria-label=${`${name}: steps`} onClick=${() => onFlip(line)}>${line.fold ? (open ? "▾" : "▸") : ""}</button>`}
    <span class="name">${kind === "service" && services.value.has(name) ? html`<a href=${href(`/services/${name}`)}>${name}</a>` : kind === "group" && step.collection ? html`<a href=${href(`/collections/${name}`)}>${name}</a>` : name}</span>
    <${StepMark} state=${state} mild=${mild} />
    <span class="took">${state !== "interrupted" && html`<${Duration} step=${step} />`}</span>
    <span class="about">${said}</span>
  </div>`;
}

/** What is said of a step that has nothing to say itself. @param {Step} step */
function aside(step) {
  if (step.kind === "group") return ordering(step);
  if (step.kind === "service") return step.impossible ?? "";
  if (step.kind === "hook") return `on the ${step.place}, at most ${seconds(step.timeout_ms ?? 0)}`;
  return step.kind === "wait" ? `at most ${seconds(step.timeout_ms ?? 0)}` : "";
}

/** @param {{step: Step}} props */
function Duration({ step: { started_at: from, ended_at: to, state } }) {
  if (!from || (!to && state !== "running")) return null;
  return html`<span title=${full(from)}><${Took} from=${from} to=${to} /></span>`;
}

/** @param {{held: Live}} props */
function Log({ held }) {
  const lines = held.log.value;
  if (!lines.length) return html`<p class="nothing">Nothing is in its log${held.operation.value?.state === "ended" ? "." : " yet."}</p>`;
  const steps = held.steps.value;
  const about = (/** @type {number} */ number) => {
    const step = steps[number];
    if (!step) return "";
    const parent = step.parent == null ? null : steps[step.parent];
    return step.kind === "service" || step.kind === "group" ? named(step) : `${parent ? `${named(parent)}, ` : ""}${named(step)}`;
  };
  return html`${held.cut.value && html`<p class="quiet">Only ${lines.length.toLocaleString("en")} entries are shown.</p>`}
    <ol class="events log" aria-label="Log, oldest first">${lines.map(({ number, at, step, text }, index) => html`<li key=${number} class=${step === lines[index - 1]?.step ? "same" : ""}><time datetime=${at}>${new Date(at).toLocaleTimeString()}</time> <b>${about(step)}</b> <pre>${text}</pre></li>`)}</ol>`;
}
