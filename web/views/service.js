// The page of one service: everything that is known of it, what can be done, and what happened.

import { html, useRef } from "/lib/html.js";
import { trigger } from "/lib/actions.js";
import { href, route } from "/lib/router.js";
import { can, live, loaded, machines, services } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { StateMark, shownState } from "/components/state.js";
import { ProblemNote } from "/components/toast.js";
import { useFeed } from "/views/events/feed.js";
import { Lines } from "/views/events/line.js";
import { Page } from "/views/parts/page.js";
import { Facts, MachineFacts } from "/views/service/facts.js";
import { nearest } from "/views/service/nearest.js";
import { TagEditor } from "/views/service/tags.js";

/** @import { Action, Service } from "/lib/types.js" */

/** What can be done, the gentlest first. @type {{action: Action, label: string, danger?: boolean}[]} */
const ACTIONS = [
  { action: "start", label: "Start" },
  { action: "stop", label: "Stop" },
  { action: "kill", label: "Kill", danger: true },
];

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
  return html`<${Page} title=${service.name} class="service" actions=${!agent && can("trigger") && html`<${Actions} service=${service} />`}
    about=${html`${agent ? "Agent" : "Tomcat"} on <a href=${href("/machines", { machine: service.machine })}>${service.machine}</a>`}>
    <section class=${`now s-${shown}`} aria-label="State now" data-service=${service.name} data-state=${service.state} data-crashed=${shown === "crashed" ? "yes" : "no"}>
      <p class="big"><${StateMark} state=${shown} />${!live.value.live && html` <span class="quiet">(last known)</span>`}</p>
      <p>for <${Time} at=${service.since} /> <span class="quiet">since <${Time} at=${service.since} as="date" /></span></p>
      ${service.last_state && html`<p>Last known: <${StateMark} state=${service.last_state} />${machine?.last_heard && html` <span class="quiet">heard <${Time} at=${machine.last_heard} suffix=" ago" /></span>`}</p>`}
      ${service.reason && html`<p class="reason">${service.reason}</p>`}
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

/** @param {{service: Service}} props */
function Actions({ service }) {
  const away = service.state === "not_available";
  return html`${ACTIONS.map(({ action, label, danger }) => html`<button key=${action} type="button" data-action=${action} class=${danger ? "danger" : ""}
      disabled=${away} title=${away ? "The agent is not linked: nothing can be sent." : undefined} onClick=${() => trigger(action, [service.name])}>${label}…</button>`)}
    ${away && html`<span class="quiet">The agent is not linked.</span>`}`;
}

/** @param {{name: string, machine: string, agent: boolean}} props */
function History({ name, machine, agent }) {
  const filters = { kind: [], service: name, machine: "", actor: "", state: "", text: "" };
  const feed = useFeed(filters, () => false);
  const drawn = useRef(new Map());
  const events = feed.events.value;
  return html`<section aria-labelledby="history">
    <h2 id="history">What happened</h2>
    <p class="links"><a href=${href("/events", { service: name })}>Search its events</a> · <a href=${href("/events", { machine, kind: agent ? "machines" : null })}>Events of ${machine}</a></p>
    <${ProblemNote} problem=${feed.problem.value} />
    ${events.length > 0 && html`<${Lines} events=${events} label=${`Events of ${name}, newest first`} drawn=${drawn.current} />`}
    ${feed.loaded.value && events.length === 0 && html`<p class="nothing">Nothing that is kept.</p>`}
    ${feed.more.value && html`<p class="more"><button type="button" disabled=${feed.busy.value} onClick=${feed.older}>${feed.busy.value ? "Loading…" : "Older events"}</button></p>`}
    ${feed.missing.value && html`<p><button type="button" onClick=${feed.latest}>Show the newest</button></p>`}
  </section>`;
}
