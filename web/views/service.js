// The page of one service: everything that is known of it, what can be done, and what happened.

import { html, useComputed, useRef } from "/lib/html.js";
import { VERBS, dismiss, outcomes } from "/lib/actions.js";
import { claims, summed, underWay } from "/lib/commands.js";
import { href, route } from "/lib/router.js";
import { can, live, loaded, machines, services } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Commands } from "/components/menu.js";
import { StateMark, shownState } from "/components/state.js";
import { FeedProblem, Newer, useFeed } from "/views/events/feed.js";
import { Lines } from "/views/events/line.js";
import { Page, focusHeading } from "/views/parts/page.js";
import { Facts, MachineFacts, nearest, TagEditor } from "/views/service/facts.js";

/** @import { Service } from "/lib/types.js" */

export default function View() {
  const name = route.value.path[1] ?? "";
  const held = services.value.get(name);
  if (!loaded.value) return html`<p role="status">Loading…</p>`;
  if (!held) return html`<${Unknown} key=${name} name=${name} />`;
  return html`<${Known} key=${name} name=${name} />`;
}

/** @param {{name: string}} props */
function Unknown({ name }) {
  const near = nearest(name, [...services.value.keys()]);
  return html`<${Page} title="No such service">
    <p>The grid has no service called <b>${name || "(nothing)"}</b>. It may have been removed, or renamed.</p>
    ${near.length > 0 && html`<h2>Did you mean</h2><ul class="alone">${near.map((other) => html`<li key=${other}><a href=${href(`/services/${other}`)}>${other}</a></li>`)}</ul>`}
    <p><a href=${href("/events", { service: name })}>What happened to it</a> · <a href="#/">All services</a></p>
  <//>`;
}

/** @param {{name: string}} props */
function Known({ name }) {
  const held = services.value.get(name);
  if (!held) return null;
  const service = held.value;
  const machine = machines.value.get(service.machine)?.value;
  const agent = service.type === "agent";
  const shown = shownState(service);
  return html`<${Page} title=${service.name} class="service" actions=${can("trigger") && html`<${Actions} service=${service} />`}
    about=${html`${agent ? "Agent" : "Tomcat"} on <a href=${href("/machines", { machine: service.machine })}>${service.machine}</a>`}>
    <section class=${`now s-${shown}`} aria-label="State now" data-service=${service.name} data-state=${service.state} data-crashed=${shown === "crashed" ? "yes" : "no"}>
      <p class="big"><${StateMark} state=${shown} />${!live.value.live && html` <span class="quiet">(last known)</span>`}</p>
      <p>for <${Time} at=${service.since} /> <span class="quiet">since <${Time} at=${service.since} as="date" /></span></p>
      ${service.last_state && html`<p>Last known: <${StateMark} state=${service.last_state} />${machine?.last_heard && html` <span class="quiet">heard <${Time} at=${machine.last_heard} suffix=" ago" /></span>`}</p>`}
      ${service.reason && html`<p class="reason">${service.reason}</p>`}
      <${Claimed} name=${service.name} />
      <${Told} name=${service.name} />
      ${(service.notes ?? []).length > 0 && html`<ul class="notes" aria-label="Notes">${service.notes?.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}
    </section>
    <div class="two">
      <${Facts} service=${service} />
      <div>
        <${TagEditor} service=${service} machine=${machine} />
        ${machine && html`<${MachineFacts} machine=${machine} />`}
      </div>
    </div>
    <${History} name=${service.name} machine=${service.machine} agent=${agent} />
  <//>`;
}

/** How the outcomes of a trigger are told. @type {Record<string, string>} */
const OUTCOMES = { pending: "sent…", ignored: "ignored", not_available: "not sent", unknown: "unknown what became of it" };

/** What became of the last trigger of who looks. @param {{name: string}} props */
function Told({ name }) {
  const mine = useComputed(() => outcomes.value.get(name));
  if (!mine.value) return html`<div role="status"></div>`;
  const { action, outcome, message, at } = mine.value;
  const forget = () => {
    dismiss([name]);
    focusHeading();
  };
  return html`<div role="status"><p class=${`told-here o-${outcome}`} data-outcome=${outcome}>
    <span>${VERBS[action].name}: ${OUTCOMES[outcome] ?? outcome}${message ? `: ${message}` : ""}</span>
    <span class="quiet">${new Date(at).toLocaleTimeString()}</span>
    ${outcome !== "pending" && html`<button type="button" class="icon" aria-label=${`Dismiss: ${action} ${name}`} onClick=${forget}>✕</button>`}
  </p></div>`;
}

/** The operation that holds it. @param {{name: string}} props */
function Claimed({ name }) {
  const mine = useComputed(() => underWay.value.get(claims.value.get(name)?.operation ?? ""));
  const one = mine.value;
  return one && html`<p class="claimed" data-claimed=${one.id}>Held by <a href=${href(`/operations/${one.id}`)}>${one.command} ${summed(one.targets)}</a>, by ${one.actor}, begun <${Time} at=${one.created_at} suffix=" ago" /></p>`;
}

/** @param {{service: Service}} props */
function Actions({ service }) {
  const gone = service.state === "not_available" && service.type === "instance";
  const why = !live.value.live ? "Not while the manager has not been heard from." : gone ? "The agent is not linked: nothing can be sent." : "";
  return html`<${Commands} targets=${[service.name]} why=${why} />${why && html`<span class="quiet">${why}</span>`}`;
}

/** @param {{name: string, machine: string, agent: boolean}} props */
function History({ name, machine, agent }) {
  const filters = { kind: [], service: name, machine: "", actor: "", state: "", text: "" };
  const top = useRef(/** @type {HTMLElement | null} */ (null));
  // Who reads further down keeps what is read.
  const feed = useFeed(filters, () => (top.current?.getBoundingClientRect().bottom ?? 0) < 0);
  const drawn = useRef(new Map());
  const events = feed.events.value;
  const label = feed.barren.value ? "Search further back" : "Older events";
  return html`<section aria-labelledby="history" class="history">
    <h2 id="history" ref=${top}>What happened</h2>
    <p class="links"><a href=${href("/events", { service: name })}>Search its events</a> · <a href=${href("/operations", { service: name })}>Its operations</a> · <a href=${href("/events", { machine, kind: agent ? "machines" : null })}>Events of ${machine}</a></p>
    <${Newer} feed=${feed} top=${() => top.current?.scrollIntoView()} />
    <${FeedProblem} feed=${feed} />
    ${events.length > 0 && html`<${Lines} events=${events} label=${`Events of ${name}, newest first`} drawn=${drawn.current} />`}
    ${feed.loaded.value && events.length === 0 && html`<p class="nothing">${feed.more.value ? "Nothing in the part of the journal that was searched." : "No events of it are kept."}</p>`}
    ${feed.more.value && html`<p class="more"><button type="button" disabled=${feed.busy.value} onClick=${feed.older}>${feed.busy.value ? "Loading…" : label}</button></p>`}
  </section>`;
}
