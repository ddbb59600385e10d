// The tree of an operation, and its log. Only the lines that are seen are in the document.

import { html, useComputed, useRef, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { services } from "/lib/store.js";
import { byStep, named, ordering, seconds, took, treeLines } from "/lib/steps.js";
import { full, now } from "/lib/time.js";
import { StepMark, like } from "/components/step.js";
import { Virtual } from "/components/virtual.js";
import { narrow } from "/views/grid/model.js";

/** @import { Step } from "/lib/types.js" */
/** @import { TreeLine } from "/lib/steps.js" */
/** @import { Live } from "/views/operation/live.js" */

/** @param {{held: Live, report: boolean}} props */
export function Tree({ held, report }) {
  const opened = useSignal(/** @type {Map<number, boolean>} */ (new Map()));
  const output = useComputed(() => byStep(held.log.value));
  const known = useRef(/** @type {TreeLine[]} */ ([]));
  const total = held.operation.value?.services.total ?? 0;
  const steps = held.steps.value;
  const fresh = treeLines(steps, held.children.value, output.value, opened.value, { report, total, row: narrow.value ? 46 : 32 });
  // A list that is the same has the same places.
  const same = fresh.length === known.current.length && fresh.every((line, at) => line.key === known.current[at].key && line.open === known.current[at].open && line.height === known.current[at].height && line.text === known.current[at].text);
  if (!same) known.current = fresh;
  const flip = (/** @type {TreeLine} */ line) => {
    opened.value = new Map(opened.peek()).set(line.number, !line.open);
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

/** @param {{line: TreeLine, top: number, height: number, depth: number, open: boolean|undefined, step: Step, onFlip: (line: TreeLine) => void}} props */
function Line({ line, top, height, depth, open, step, onFlip }) {
  const style = { top: `${top}px`, height: `${height}px`, "--depth": depth };
  if (line.text !== undefined) return html`<div role="listitem" class="step said" style=${style}><code title=${line.text}>${line.text || " "}</code></div>`;
  const { kind, state, message } = step;
  const name = named(step);
  const about = message || aside(step);
  const box = kind === "group" || kind === "service";
  return html`<div role="listitem" class=${`step k-${kind} s-${like(state)}`} style=${style} data-step=${step.number} data-kind=${kind} data-state=${state} data-service=${step.service}>
    ${box && html`<button type="button" class="icon fold" disabled=${!line.fold} aria-expanded=${line.fold ? !!open : undefined} aria-label=${`${name}: steps`} onClick=${() => onFlip(line)}>${line.fold ? (open ? "▾" : "▸") : ""}</button>`}
    <span class="name">${kind === "service" && services.value.has(name) ? html`<a href=${href(`/services/${name}`)}>${name}</a>` : kind === "group" && step.collection ? html`<a href=${href(`/collections/${name}`)}>${name}</a>` : name}</span>
    <${StepMark} state=${state} />
    <span class="took"><${Duration} step=${step} /></span>
    <span class="about" title=${about}>${about}</span>
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
  return to ? html`<span title=${full(from)}>${took(Date.parse(to) - Date.parse(from))}</span>` : html`<${Ticking} key=${from} from=${from} />`;
}

/** @param {{from: string}} props */
function Ticking({ from }) {
  // The text alone is written again each second.
  const text = useComputed(() => took(now.value - Date.parse(from)));
  return html`<span>${text}</span>`;
}

/** @param {{held: Live}} props */
export function Log({ held }) {
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
