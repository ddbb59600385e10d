// What is known of a service and of its machine, as lists of terms.

import { html } from "/lib/html.js";
import { href } from "/lib/router.js";
import { live, services } from "/lib/store.js";
import { Time } from "/lib/time.js";

/** @import { Exit, Machine, Service } from "/lib/types.js" */

/**
 * A term and what it is; nothing where nothing is known.
 * @param {{term: string, children?: any}} props
 */
export function Fact({ term, children }) {
  const nothing = children === null || children === undefined || children === "" || children === false || children.length === 0;
  return !nothing && html`<div><dt>${term}</dt><dd>${children}</dd></div>`;
}

/** @param {Exit} exit */
const ending = (exit) => html`<span class=${exit.wanted ? undefined : "bad"}>${exit.wanted ? "wanted" : "not wanted"}: ${exit.how}</span>, <${Time} at=${exit.at} suffix=" ago" /> <span class="quiet">(<${Time} at=${exit.at} as="date" />)</span>`;

/** @param {{service: Service}} props */
export function Facts({ service }) {
  const agent = service.type === "agent";
  return html`<section class="panel" aria-labelledby="facts">
    <h2 id="facts">${agent ? "Agent" : "Instance"}</h2>
    <dl class="facts">
      <${Fact} term="Type">${agent ? "agent" : "instance"}<//>
      <${Fact} term="Collections">${service.collections?.map((name, at) => html`${at > 0 && ", "}<a href=${href(`/collections/${name}`)}>${name}</a>`)}<//>
      <${Fact} term="Process">${service.pid}<//>
      <${Fact} term="Ports">${(service.ports ?? []).join(", ")}<//>
      <${Fact} term="User">${service.user}<//>
      <${Fact} term="Unit">${service.unit && html`<code>${service.unit}</code>`}<//>
      <${Fact} term="CATALINA_BASE">${service.catalina_base && html`<code>${service.catalina_base}</code>`}<//>
      <${Fact} term="CATALINA_HOME">${service.catalina_home && html`<code>${service.catalina_home}</code>`}<//>
      <${Fact} term="Last end">${service.last_exit ? ending(service.last_exit) : !agent && html`<span class="quiet">none is known</span>`}<//>
    </dl>
    ${agent && html`<${Instances} machine=${service.machine} />`}
  </section>`;
}

/** @param {{machine: string}} props */
function Instances({ machine }) {
  const count = [...services.value.values()].filter((held) => held.peek().machine === machine && held.peek().type === "instance").length;
  return html`<p><a href=${href("/", { q: `machine:${machine}` })}>${count} ${count === 1 ? "instance" : "instances"} on ${machine}</a></p>`;
}

/**
 * Bytes, as memory is told.
 * @param {number} bytes
 */
export const memory = (bytes) => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`);

/** @param {{machine: Machine}} props */
export function MachineFacts({ machine }) {
  const { facts } = machine;
  const link = machine.revoked_at
    ? html`<span class="bad">revoked <${Time} at=${machine.revoked_at} suffix=" ago" /></span>`
    : machine.connected
      ? live.value.live
        ? html`<span class="good">linked</span>`
        : html`<span class="quiet">was linked</span>`
      : html`<span class="lost">away</span>${machine.last_heard && html`, heard <${Time} at=${machine.last_heard} suffix=" ago" />`}`;
  return html`<section class="panel" aria-labelledby="machine">
    <h2 id="machine">Machine <a href=${href("/machines", { machine: machine.name })}>${machine.name}</a></h2>
    <dl class="facts">
      <${Fact} term="Agent">${link}, <a href=${href(`/services/agent@${machine.name}`)}>version ${machine.agent_version || "?"}</a><//>
      <${Fact} term="Host">${facts.hostname}<//>
      <${Fact} term="System">${[facts.os, facts.arch].filter(Boolean).join(", ")}<//>
      <${Fact} term="Kernel">${facts.kernel}<//>
      <${Fact} term="Hardware">${[facts.cpus > 0 && `${facts.cpus} CPUs`, facts.memory > 0 && memory(facts.memory)].filter(Boolean).join(", ")}<//>
      <${Fact} term="Agent runs as">${facts.user && `${facts.user}${facts.systemd ? "" : ", without systemd"}`}<//>
      <${Fact} term="Joined"><${Time} at=${machine.joined_at} as="date" /><//>
    </dl>
    ${facts.notes?.length > 0 && html`<ul class="notes" aria-label="Notes of the machine">${facts.notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}
  </section>`;
}
