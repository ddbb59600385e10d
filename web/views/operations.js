// Operations: what is carried out now, and what was; and the page of one: while it goes on, its tree; when it is over, a
// report. Only the lines that are seen are in the document.

import { many } from "/lib/actions.js";
import { call, pages } from "/lib/api.js";
import { COMMANDS, follow, nameOf, summed, underWay } from "/lib/commands.js";
import { batch, effect, html, useComputed, useEffect, useRef, useSignal } from "/lib/html.js";
import { href, route, setQuery } from "/lib/router.js";
import { byStep, childrenOf, like, named, newer, ordering, seconds, stateOf, StepMark, took, treeLines } from "/lib/steps.js";
import { can, live, onEvent, resets, services } from "/lib/store.js";
import { full, now, Time } from "/lib/time.js";
import { confirm, ProblemNote } from "/components/dialog.js";
import { Virtual } from "/components/virtual.js";
import { narrow } from "/views/grid/model.js";
import { useAct, useList } from "/views/parts/loading.js";
import { Choice, Filter, Listing, Page, Table } from "/views/parts/page.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { TreeLine } from "/lib/steps.js" */
/** @import { LogLine, Operation, Step } from "/lib/types.js" */

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
  const list = /** @type {import("/views/parts/loading.js").List<Operation>} */ (useList(`/operations?${asked}`, /^operation\.state$/));
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

/** @type {import("/views/parts/page.js").Column<Operation>[]} */
const COLUMNS = [
  {
    label: "Operation",
    head: true,
    cell: ({ id, command, targets }) => html`<a class="name" href=${href(`/operations/${id}`)}>${nameOf(command)} ${targets.slice(0, NAMED).join(", ")}${targets.length > NAMED && ` and ${targets.length - NAMED} more`}</a>`,
  },
  { label: "State", cell: (one) => html`<${StepMark} state=${stateOf(one)} />` },
  { label: "Services", cell: ({ services: counts }) => progress(counts) },
  { label: "Who", cell: ({ actor }) => actor },
  { label: "Begun", cell: ({ created_at: at }) => html`<span><${Time} at=${at} suffix=" ago" /> <span class="quiet">(<${Time} at=${at} as="date" />)</span></span>` },
  { label: "Took", cell: (one) => html`<${Took} from=${one.created_at} to=${one.ended_at} />` },
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
  const view = choice.value || (over ? "report" : "tree");
  const name = nameOf(one.command);
  const tab = (/** @type {string} */ key, /** @type {string} */ label) => html`<button type="button" aria-pressed=${view === key} data-view=${key} onClick=${() => (choice.value = key)}>${label}</button>`;
  return html`<${Page} title="${name} ${summed(one.targets)}" class="service" about=${html`by ${one.actor}, <${Time} at=${one.created_at} as="date" /> <code class="id" title=${one.id}>${one.id.slice(0, 8)}</code>`} actions=${html`<${Buttons} one=${one} />`}>
    <section class=${`now s-${like(stateOf(one))}`} aria-label="How far it is" data-operation=${one.id} data-state=${one.state} data-result=${one.result ?? ""}>
      <p class="big"><${StepMark} state=${stateOf(one)} /> ${!over && !live.value.live && html`<span class="quiet">(last known) </span>`}<span class="quiet">${one.ended_at ? "took" : "for"} <${Took} from=${one.created_at} to=${one.ended_at} /></span></p>
      ${one.message && !/^[a-z ]+: of \d/.test(one.message) && html`<p class=${over && one.result !== "done" && one.result !== "ignored" ? "bad" : ""}>${one.message}</p>`}
      <${Progress} counts=${one.services} />
      ${one.interruptions?.map((gap) => html`<p class="quiet">Interrupted ${!gap.exact && "after"} <${Time} at=${gap.at} as="date" />${gap.resumed_at && html`, resumed <${Time} at=${gap.resumed_at} as="date" /> by ${gap.resumed_by}`}</p>`)}
      ${one.retry_of && html`<p>Tries again what failed of <a href=${href(`/operations/${one.retry_of}`)}>an operation before</a>.</p>`}
      ${one.targets.length > 3 && html`<p class="quiet">On ${one.targets.slice(0, LISTED).join(", ")}${one.targets.length > LISTED && ` and ${one.targets.length - LISTED} more`}</p>`}
    </section>
    <${ProblemNote} problem=${held.problem.value} />
    <div class="tabs" role="group" aria-label="Shown as">${tab("report", "Services")}${tab("tree", "Tree")}${tab("log", "Log")}</div>
    ${view === "log" ? html`<${Log} held=${held} />` : html`<${Tree} held=${held} report=${view === "report"} />`}
  <//>`;
}

/** How many are how far. @param {{counts: Operation["services"]}} props */
function Progress({ counts }) {
  const { total, planned, running, done, ignored, failed, skipped } = counts;
  const parts = /** @type {[number, string, string][]} */ ([[failed, "not done", "bad"], [running, "in hand", "moving"], [done, "done", "good"], [ignored, "ignored", "quiet"], [skipped, "skipped", "quiet"], [planned, "to come", "none"]]).filter(([count]) => count);
  return html`<div class="bar" aria-hidden="true">${parts.map(([count, , tone]) => html`<span class=${tone} style=${{ flexGrow: count }}></span>`)}</div>
    <p class="progress">${many(total, "service")}: ${parts.map(([count, word, tone], at) => html`${at > 0 && ", "}<span class=${tone} data-count=${word}><b>${count}</b> ${word}</span>`)}</p>`;
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

/** @param {{held: Live, report: boolean}} props */
function Tree({ held, report }) {
  const opened = useSignal(/** @type {Map<number, boolean>} */ (new Map()));
  const output = useComputed(() => byStep(held.log.value));
  const known = useRef(/** @type {TreeLine[]} */ ([]));
  const total = held.operation.value?.services.total ?? 0;
  const steps = held.steps.value;
  const fresh = treeLines(steps, held.children.value, output.value, opened.value, { report, total, row: tall });
  // A list that is the same has the same places.
  const same = fresh.length === known.current.length && fresh.every((line, at) => line.key === known.current[at].key && line.open === known.current[at].open && line.height === known.current[at].height && line.text === known.current[at].text && line.sum === known.current[at].sum);
  if (!same) known.current = fresh;
  const flip = (/** @type {TreeLine} */ line) => {
    opened.value = new Map(opened.peek()).set(line.sum ? -1 - line.number : line.number, !line.open);
  };
  const folding = fresh.some((line) => line.fold);
  const all = (/** @type {boolean} */ open) => {
    opened.value = new Map(steps.filter((step) => step.kind === "service" || (step.kind === "group" && step.number > 0)).map((step) => [step.number, open]));
  };
  const draw = (/** @type {TreeLine & {top: number}} */ line) => html`<${Line} key=${line.key} line=${line} top=${line.top} height=${line.height} depth=${line.depth} open=${line.open} step=${steps[line.number]} onFlip=${flip} />`;
  return html`<section class="tree" aria-label=${report ? "Services, those that failed first" : "Tree"}>
    ${folding && html`<p class="links"><button type="button" class="link" onClick=${() => all(true)}>Unfold all</button> · <button type="button" class="link" onClick=${() => all(false)}>Fold all</button></p>`}
    <${Virtual} lines=${known.current} render=${draw} attributes=${{ role: "list" }} />
  </section>`;
}

/** What is said of a step. @param {Step} step */
const about = (step) => (step.state === "skipped" ? step.message?.replace(/^skipped: /, "") : step.message) || aside(step);

/** How high a step's line is: what is said of it is broken, not cut. @param {Step} step */
function tall(step) {
  const text = about(step).length;
  const lines = (/** @type {number} */ width) => Math.ceil((text * 7.7) / Math.max(150, width));
  return narrow.value ? 46 + 21 * lines(innerWidth - 110) : 32 + 20 * Math.max(0, lines(innerWidth - 790) - 1);
}

/** @param {{line: TreeLine, top: number, height: number, depth: number, open: boolean|undefined, step: Step, onFlip: (line: TreeLine) => void}} props */
function Line({ line, top, height, depth, open, step, onFlip }) {
  const style = { top: `${top}px`, height: `${height}px`, "--depth": depth };
  if (line.text !== undefined) return html`<div role="listitem" class="step said" style=${style}><code title=${line.text}>${line.text || " "}</code></div>`;
  if (line.sum) return html`<div role="listitem" class="step" style=${style} data-over=${line.sum}><button type="button" class="icon fold" aria-expanded=${!!open} aria-label="Services that are done" onClick=${() => onFlip(line)}>${open ? "▾" : "▸"}</button><span class="name quiet">${many(line.sum, "service")} done</span></div>`;
  const { kind, state } = step;
  const name = named(step);
  const mild = step.on_failure === "warn" && kind === "hook" && state !== "running" && state !== "done";
  const box = kind === "group" || kind === "service";
  return html`<div role="listitem" class=${`step k-${kind} s-${mild ? "stopped" : like(state)}`} style=${style} data-step=${step.number} data-kind=${kind} data-state=${state} data-service=${step.service}>
    ${box && html`<button type="button" class="icon fold" disabled=${!line.fold} aria-expanded=${line.fold ? !!open : undefined} aria-label=${`${name}: steps`} onClick=${() => onFlip(line)}>${line.fold ? (open ? "▾" : "▸") : ""}</button>`}
    <span class="name">${kind === "service" && services.value.has(name) ? html`<a href=${href(`/services/${name}`)}>${name}</a>` : kind === "group" && step.collection ? html`<a href=${href(`/collections/${name}`)}>${name}</a>` : name}</span>
    <${StepMark} state=${state} mild=${mild} />
    <span class="took"><${Duration} step=${step} /></span>
    <span class="about">${about(step)}</span>
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
    <ol class="events log" aria-label="Log, oldest first">${lines.map(({ number, at, step, text }) => html`<li key=${number}><time datetime=${at}>${new Date(at).toLocaleTimeString()}</time> <b>${about(step)}</b> <pre>${text}</pre></li>`)}</ol>`;
}

// An operation as it goes on: followed by its own stream, which begins with the whole.

/**
 * @typedef {object} Live
 * @property {Signal<Operation|null>} operation
 * @property {Signal<Step[]>} steps by number; another array when any of them changed
 * @property {Signal<number[][]>} children
 * @property {Signal<LogLine[]>} log
 * @property {Signal<boolean>} cut whether the log has more lines than are held
 * @property {Signal<any>} problem
 */

/** The most entries of a log that are held. */
const MOST = 5000;

/** How often changes are drawn, in milliseconds. */
const BEAT = 120;

/** How often one that goes on is compared with the manager's, in milliseconds: what was missed is found so. */
const CHECK = 15_000;

/**
 * @param {string} id
 * @returns {Live}
 */
export function useOperation(id) {
  const operation = useSignal(/** @type {Operation|null} */ (null));
  const steps = useSignal(/** @type {Step[]} */ ([]));
  const children = useSignal(/** @type {number[][]} */ ([]));
  const log = useSignal(/** @type {LogLine[]} */ ([]));
  const cut = useSignal(false);
  const problem = useSignal(/** @type {any} */ (null));
  useEffect(() => {
    let gone = false;
    let turn = 0;
    let timer = 0;
    /** @type {[string, any][]} */
    let waiting = [];
    /** @type {EventSource|null} */
    let source = null;
    const path = `/operations/${encodeURIComponent(id)}`;
    const flush = () => {
      timer = 0;
      if (gone || !operation.peek()) return;
      const all = waiting;
      waiting = [];
      if (!all.length) return;
      const next = steps.peek().slice();
      /** @type {LogLine[]} */
      const written = [];
      batch(() => {
        for (const [news, data] of all) {
          if (news === "operation") operation.value = data;
          else if (news === "log") written.push(data);
          else if (next[data.number] && newer(next[data.number], data)) next[data.number] = data;
        }
        steps.value = next;
        if (written.length) add(written);
        const now = operation.peek();
        // What was told between two states of the whole is counted here.
        if (now && now.state !== "ended") operation.value = { ...now, services: count(next) };
      });
    };
    const add = (/** @type {LogLine[]} */ fresh) => {
      const known = log.peek();
      const last = known.at(-1)?.number ?? 0;
      const news = fresh.filter((line) => line.number > last);
      if (known.length + news.length > MOST) cut.value = true;
      log.value = [...known, ...news].slice(-MOST);
    };
    /** @param {any} [whole] what was just told */
    const load = async (whole) => {
      const mine = ++turn;
      try {
        const { steps: all, ...one } = whole ?? (await call("GET", path));
        /** @type {LogLine[]} */
        const lines = [];
        for await (const page of pages(`${path}/log?limit=1000`)) {
          lines.push(...page);
          if (mine !== turn || lines.length >= MOST) break;
        }
        if (gone || mine !== turn) return;
        batch(() => {
          problem.value = null;
          operation.value = one;
          if (children.peek().length !== all.length) children.value = childrenOf(all);
          steps.value = all;
          log.value = lines.slice(0, MOST);
          cut.value = lines.length >= MOST;
        });
        flush();
      } catch (error) {
        if (mine === turn) problem.value = error;
      }
    };
    const leave = () => {
      source?.close();
      source = null;
    };
    const follow = () => {
      leave();
      const from = new EventSource(`/api/v1${path}/stream`);
      source = from;
      from.onmessage = (message) => {
        const { news, ...data } = JSON.parse(message.data);
        if (news === "whole") {
          load(data);
          return;
        }
        waiting.push([news, data]);
        timer ||= setTimeout(flush, BEAT);
        if (news !== "operation" || !isStill(data)) return;
        leave();
        // Its end has words and numbers that steps do not tell.
        load();
      };
      from.onerror = () => {
        if (from.readyState !== EventSource.CLOSED || source !== from) return;
        source = null;
        // It says why.
        load();
      };
    };
    const deaf = onEvent(({ kind, data }) => {
      // It was resumed.
      if (kind === "operation.state" && data?.id === id && !isStill(data) && !source) follow();
    });
    follow();
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value !== before) follow();
    });
    let lost = false;
    const heal = effect(() => {
      if (!live.value.live) lost = true;
      else if (lost) {
        lost = false;
        follow();
      }
    });
    const check = setInterval(() => {
      const one = operation.peek();
      if (!live.peek().live || !one || isStill(one)) return;
      if (source) load();
      else follow();
    }, CHECK);
    return () => {
      gone = true;
      turn++;
      leave();
      clearTimeout(timer);
      clearInterval(check);
      deaf();
      forget();
      heal();
    };
  }, [id]);
  return { operation, steps, children, log, cut, problem };
}

/** Whether nothing more happens to it by itself. @param {Operation} operation */
const isStill = ({ state }) => state === "ended" || state === "interrupted";

/** How many services are how far. @param {Step[]} steps */
function count(steps) {
  const counts = { total: 0, planned: 0, running: 0, done: 0, ignored: 0, failed: 0, skipped: 0 };
  for (const { kind, state } of steps) {
    if (kind !== "service") continue;
    counts.total++;
    counts[Object.hasOwn(counts, state) ? /** @type {keyof typeof counts} */ (state) : "failed"]++;
  }
  return counts;
}
