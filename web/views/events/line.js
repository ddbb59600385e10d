// One event as it is shown: when, what in a sentence, and everything on demand.

import { html, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { Time } from "/lib/time.js";
import { Shape } from "/components/state.js";
import { MachineLink, ServiceLink } from "/views/parts/names.js";
import { isCrashed, sentence, tone } from "/views/events/sentence.js";

/** @import { GridEvent } from "/lib/types.js" */
/** @import { Part } from "/views/events/sentence.js" */

/** @param {Part} part */
function piece(part) {
  if (typeof part === "string") return part;
  if (part.to === "service") return html`<${ServiceLink} name=${part.name} />`;
  if (part.to === "machine") return html`<${MachineLink} name=${part.name} />`;
  if (part.to === "operation") return part.id ? html`<a class="name" href=${href(`/operations/${part.id}`)}>${part.name}</a>` : part.name;
  if (part.to === "time") return html`<${Time} at=${part.name} as="date" />`;
  return html`<b>${part.name}</b>`;
}

/** The shape of a state, where an event is about one. @param {GridEvent} event */
function mark(event) {
  if (event.kind === "service.state" && event.data?.state) return html`<${Shape} state=${isCrashed(event.data) ? "crashed" : event.data.state} />`;
  if (event.kind === "machine.state") return html`<${Shape} state=${event.data?.connected ? "active" : "not_available"} />`;
  return html`<span class="dot" aria-hidden="true"></span>`;
}

/** The colour of an event. @param {GridEvent} event */
function colour(event) {
  if (event.kind === "service.state") return `s-${isCrashed(event.data) ? "crashed" : event.data?.state}`;
  return { good: "s-active", lost: "s-not_available", bad: "s-unresponsive", moving: "s-starting", quiet: "" }[tone(event)];
}

/**
 * @param {{event: GridEvent}} props
 */
export function Line({ event }) {
  const open = useSignal(false);
  return html`<li class=${`event ${colour(event)}`} data-event=${event.id} data-kind=${event.kind}>
    <span class="mark">${mark(event)}</span>
    <span class="when"><${Time} at=${event.at} as="date" /></span>
    <span class="said">${sentence(event).map(piece)}</span>
    <button type="button" class="link raw" aria-expanded=${open.value} aria-label=${`Everything of event ${event.id}`} onClick=${() => (open.value = !open.value)}>${event.id}</button>
    ${open.value && html`<pre class="json" tabindex="0" aria-label=${`Event ${event.id} as JSON`}>${JSON.stringify(event, null, 2)}</pre>`}
  </li>`;
}

/**
 * A list of events. What was drawn before is not drawn again.
 * @param {{events: GridEvent[], label: string, drawn: Map<string, any>}} props `drawn`: kept by who shows the list
 */
export function Lines({ events, label, drawn }) {
  const lines = events.map((event) => {
    const known = drawn.get(event.id) ?? html`<${Line} key=${event.id} event=${event} />`;
    drawn.set(event.id, known);
    return known;
  });
  // Keeps what is shown, and forgets what no longer is.
  if (drawn.size > 2 * events.length + 100) {
    const shown = new Set(events.map((event) => event.id));
    for (const id of drawn.keys()) if (!shown.has(id)) drawn.delete(id);
  }
  return html`<ol class="events" aria-label=${label}>${lines}</ol>`;
}
