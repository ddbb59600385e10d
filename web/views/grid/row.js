// A service as a row, as a tile; and the head of a group.

import { html, useComputed, useEffect, useRef } from "/lib/html.js";
import { dismiss, outcomes } from "/lib/actions.js";
import { claims, underWay } from "/lib/operations.js";
import { href } from "/lib/router.js";
import { selectAll, selected } from "/lib/selection.js";
import { can, live, machines } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Shape, StateMark, WORST_FIRST, crashed, shownState, stateWord } from "/components/state.js";
import { cursor, grouping } from "/views/grid/model.js";

/** @import { Service } from "/lib/types.js" */
/** @import { Signal } from "/lib/html.js" */
/** @typedef {{held: Signal<Service>|undefined, name: string}} Held */

/** How outcomes are told. */
const OUTCOMES = {
  pending: "sent…",
  done: "done",
  ignored: "ignored",
  refused: "refused",
  failed: "failed",
  not_available: "not sent",
  unknown: "unknown",
  planned: "planned",
};

/**
 * What rows and tiles share: whether it is selected, and whether the keyboard is there.
 * @param {string} name
 */
function usePlace(name) {
  const here = useComputed(() => cursor.value === name);
  const chosen = useComputed(() => selected.value.has(name));
  return { here: here.value, chosen: chosen.value };
}

/**
 * What is worth reading about a service beside its state.
 * @param {Service} service
 */
export function remarks(service) {
  const parts = [];
  if (crashed(service) && service.last_exit) parts.push(service.last_exit.how);
  if (service.reason) parts.push(service.reason);
  return [...parts, ...(service.notes ?? [])].join("; ");
}

/** @param {{name: string, told: import("/lib/actions.js").Outcome}} props */
function Outcome({ name, told: { action, outcome, message, at } }) {
  const done = outcome !== "pending";
  const time = done ? new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : "";
  return html`<span class="told o-${outcome}" title=${message}>
    <span><b>${action}: ${OUTCOMES[outcome] ?? outcome}</b>${time && ` ${time}`}${outcome !== "done" && done && message && ` – ${message}`}</span>
    ${done && html`<button type="button" class="icon" tabindex="-1" data-dismiss aria-label="Dismiss: ${action} ${name}" onClick=${() => dismiss([name])}>✕</button>`}
  </span>`;
}

/** @param {Service} service */
function since(service) {
  const heard = service.state === "not_available" ? machines.peek().get(service.machine)?.value.last_heard : null;
  return heard ? html`<span class="heard"><span>heard </span>${Time({ at: heard, coarse: true, suffix: " ago" })}</span>` : Time({ at: service.since });
}

/**
 * A row's frame: what changes when it moves.
 * @param {Held & {top: number, height: number, index: number}} props
 */
export function Row({ held, name, top, height, index }) {
  const { here, chosen } = usePlace(name);
  const service = held?.value;
  if (!service) return null;
  const acts = can("trigger");
  return html`<div
    role="row"
    class="row s-${shownState(service)}"
    style=${{ top: `${top}px`, height: `${height}px` }}
    tabindex=${here ? 0 : -1}
    aria-rowindex=${index + 2}
    aria-selected=${acts ? chosen : null}
    data-service=${name}
    data-state=${service.state}
    data-crashed=${crashed(service) ? "yes" : "no"}
    data-cursor=${here ? "yes" : null}
  >
    <${Cells} service=${service} here=${here} acts=${acts} chosen=${chosen} />
  </div>`;
}

/**
 * What a row says. Few components and signals: a window full of them is built at once when one scrolls.
 * @param {{service: Service, here: boolean, acts: boolean, chosen: boolean}} props
 */
function Cells({ service, here, acts, chosen }) {
  const { name, machine, state } = service;
  const told = useComputed(() => outcomes.value.get(name)).value;
  const claim = useComputed(() => claims.value.get(name)?.operation ?? "").value;
  const reach = here ? 0 : -1;
  const note = remarks(service);
  const was = service.last_state ? ` (was ${service.last_state.replace("_", " ")})` : "";
  return html`
    <div role="gridcell" class="c-check">
      ${acts && html`<label><input type="checkbox" checked=${chosen} tabindex=${reach} data-check aria-label="Select ${name}" /></label>`}
    </div>
    <div role="rowheader" class="c-name"><a href=${href(`/services/${name}`)} tabindex=${reach} title=${name}>${name}</a></div>
    <div role="gridcell" class="c-machine" title=${machine}>${machine}</div>
    <div role="gridcell" class="c-state">${StateMark({ state, crashed: crashed(service), children: was })}</div>
    <div role="gridcell" class="c-since">${since(service)}</div>
    <div role="gridcell" class="c-ports">${(service.ports ?? []).join(", ")}</div>
    <div role="gridcell" class="c-tags">${(service.tags ?? []).map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`)}</div>
    <div role="gridcell" class="c-remarks">${claim && html`<a class="told held" href=${href(`/operations/${claim}`)} tabindex=${reach} title="Held by an operation">${underWay.peek().get(claim)?.command ?? "operation"}…</a>`}${told && html`<${Outcome} name=${name} told=${told} />`}<span title=${note}>${note}</span></div>`;
}

/** @param {Held} props */
function Tile({ held, name }) {
  const { here, chosen } = usePlace(name);
  const outcome = useComputed(() => outcomes.value.get(name)?.outcome ?? "");
  const service = held?.value;
  if (!service) return null;
  const shown = shownState(service);
  const short = grouping.value === "machine" ? name.replace(`@${service.machine}`, "") : name;
  const note = remarks(service);
  const label = `${name}: ${live.value.live ? "" : "last known: "}${stateWord(shown)}${note ? `; ${note}` : ""}`;
  return html`<div
    role="gridcell"
    class="tile s-${shown}"
    tabindex=${here ? 0 : -1}
    aria-selected=${can("trigger") ? chosen : null}
    aria-label=${label}
    title=${label}
    data-service=${name}
    data-state=${service.state}
    data-crashed=${shown === "crashed" ? "yes" : "no"}
    data-outcome=${outcome}
    data-cursor=${here ? "yes" : null}
  >
    <${Shape} state=${shown} /><span>${short}</span>
  </div>`;
}

/**
 * A line of tiles.
 * @param {{names: string[], all: Map<string, Signal<Service>>, top: number, height: number, index: number, perLine: number}} props
 */
export function Tiles({ names, all, top, height, index, perLine }) {
  const style = { top: `${top}px`, height: `${height}px`, gridTemplateColumns: `repeat(${perLine}, minmax(0, 1fr))` };
  return html`<div role="row" class="tiles" aria-rowindex=${index + 2} style=${style}>
    ${names.map((name) => html`<${Tile} key=${name} name=${name} held=${all.get(name)} />`)}
  </div>`;
}

/**
 * The head of a group: its name, how many of each state, and a box that selects it.
 * @param {{group: import("/lib/rows.js").Group, top: number, height: number, index: number}} props
 */
export function GroupHead({ group, top, height, index }) {
  const box = useRef(/** @type {HTMLInputElement|null} */ (null));
  const names = group.services.map((service) => service.name);
  const some = names.filter((name) => selected.value.has(name)).length;
  useEffect(() => {
    if (box.current) box.current.indeterminate = some > 0 && some < names.length;
  }, [some, names.length]);
  const onChange = () => selectAll(names, some < names.length);
  const kind = grouping.value;
  const title = kind === "state" ? stateWord(/** @type {any} */ (group.title)) : group.title || `no ${kind}`;
  const rollUp = WORST_FIRST.filter((state) => group.counts[state]);
  const many = names.length === 1 ? "service" : "services";
  return html`<div role="row" class="group" aria-rowindex=${index + 2} style=${{ top: `${top}px`, height: `${height}px` }}>
    <div role="gridcell" class="head">
      ${can("trigger") &&
      html`<label><input ref=${box} type="checkbox" tabindex=${index === 0 ? 0 : -1} checked=${some === names.length} onChange=${onChange} aria-label="Select the ${names.length} ${many} of ${title}" /></label>`}
      <b>${kind === "tag" && group.title ? "#" : ""}${title}</b>
      <span class="quiet">${names.length}</span>
      <span class="roll-up">
        ${rollUp.map((state) => html`<span key=${state} class="s-${state}" title="${group.counts[state]} ${stateWord(state)}"><${Shape} state=${state} />${group.counts[state]}<span class="hidden"> ${stateWord(state)}</span></span>`)}
      </span>
      ${kind === "machine" && html`<${MachineWord} name=${group.title} />`}
    </div>
  </div>`;
}

/** @param {{name: string}} props */
function MachineWord({ name }) {
  const machine = machines.value.get(name)?.value;
  if (!machine || machine.connected) return null;
  return html`<span class="away">${machine.revoked_at ? "revoked" : machine.last_heard ? html`not heard from for <${Time} at=${machine.last_heard} />` : "never heard from"}</span>`;
}
