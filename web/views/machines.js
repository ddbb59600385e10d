// Machines: which there are, whether their agents are linked, and how more join.

import { html, useSignal } from "/lib/html.js";
import { href, route, setQuery } from "/lib/router.js";
import { can, live, loaded, machines } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Filter } from "/views/parts/form.js";
import { Page } from "/views/parts/page.js";
import { Table } from "/views/parts/table.js";
import { Tags } from "/views/parts/names.js";
import { Actions } from "/views/machines/actions.js";
import { Counts } from "/views/machines/counts.js";
import { JoinTokens } from "/views/machines/join.js";
import { memory } from "/views/service/facts.js";

/** @import { Machine } from "/lib/types.js" */

export default function Machines() {
  const { query } = route.value;
  const only = query.get("machine") ?? "";
  const words = query.get("q") ?? "";
  // Where there is nothing yet, joining is what one comes for.
  const joining = useSignal(loaded.peek() && machines.peek().size === 0);
  const admin = can("manage");
  const all = [...machines.value.values()].map((held) => held.value).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const shown = all.filter((machine) => (only ? machine.name === only : fits(machine, words)));
  const away = all.filter((machine) => !machine.connected && !machine.revoked_at).length;
  const button = admin && html`<button type="button" class="primary" data-open aria-expanded=${joining.value} onClick=${() => (joining.value = !joining.value)}>Add machines…</button>`;
  if (!loaded.value) return html`<p role="status">Loading…</p>`;
  return html`<${Page} title="Machines" about=${`${all.length} ${all.length === 1 ? "machine" : "machines"}${away ? `, ${away} away` : ""}`} actions=${button}>
    ${admin && html`<${JoinTokens} open=${joining} />`}
    ${all.length > 0 && html`<div class="filters">
      ${only
        ? html`<p>Only <b>${only}</b>. <a href=${href("/machines")}>Show all machines</a></p>`
        : html`<${Filter} label="Find" class="wide" value=${words} type="search" placeholder="name, host, tag, system" onValue=${(/** @type {string} */ q) => setQuery({ q })} />`}
    </div>`}
    ${shown.length > 0
      ? html`<${Table} caption="Machines" rows=${shown} keyOf=${(/** @type {Machine} */ machine) => machine.name} columns=${columns()} rowProps=${rowProps} />`
      : html`<p class="nothing">${nothing(all.length, only)}</p>`}
  <//>`;
}

/** @param {number} count @param {string} only */
function nothing(count, only) {
  if (only) return `The grid has no machine called ${only}.`;
  if (count) return "No machine matches.";
  return can("manage") ? "No machine has joined yet. “Add machines…” makes a token, and the line to start an agent with." : "No machine has joined yet.";
}

/**
 * Whether a machine holds every word.
 * @param {Machine} machine
 * @param {string} words
 */
function fits(machine, words) {
  const { name, facts, tags = [], agent_version: version } = machine;
  const text = [name, facts.hostname, facts.os, facts.kernel, facts.arch, version, ...tags].join(" ").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

/** @param {Machine} machine */
const rowProps = (machine) => ({ "data-machine": machine.name, "data-connected": machine.connected ? "yes" : "no" });

/** @returns {import("/views/parts/table.js").Column<Machine>[]} */
function columns() {
  return [
    { label: "Machine", head: true, cell: (machine) => html`<a class="name" href=${href("/", { q: `machine:${machine.name}` })}>${machine.name}</a><${Tags} tags=${machine.tags} />` },
    { label: "Agent", cell: (machine) => html`<span>${link(machine)} <a class="quiet" href=${href(`/services/agent@${machine.name}`)}>version ${machine.agent_version || "?"}</a></span>` },
    { label: "Instances", cell: (machine) => html`<${Counts} machine=${machine.name} />` },
    { label: "Host", class: "host", cell: host },
    { label: "Joined", cell: (machine) => html`<${Time} at=${machine.joined_at} as="date" />` },
    ...(can("tag") ? [{ label: "Actions", quiet: true, class: "actions", cell: (/** @type {Machine} */ machine) => html`<${Actions} machine=${machine} />` }] : []),
  ];
}

/** @param {Machine} machine */
function link(machine) {
  if (machine.revoked_at) return html`<span class="bad">✗ revoked</span> <span class="quiet"><${Time} at=${machine.revoked_at} suffix=" ago" /></span>`;
  if (machine.connected) return live.value.live ? html`<span class="good">● linked</span>` : html`<span class="quiet">● was linked</span>`;
  return html`<span class="lost">? away</span> <span class="quiet">${machine.last_heard ? html`heard <${Time} at=${machine.last_heard} suffix=" ago" />` : "never heard from"}</span>`;
}

/** @param {Machine} machine */
function host({ name, facts }) {
  const notes = facts.notes ?? [];
  const parts = [facts.hostname !== name && facts.hostname, facts.os, facts.kernel, facts.arch, facts.cpus > 0 && `${facts.cpus} CPUs`, facts.memory > 0 && memory(facts.memory)];
  return html`<span>${parts.filter(Boolean).join(" · ")}</span>
    ${notes.length > 0 && html`<ul class="notes" aria-label=${`Notes of ${name}`}>${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}`;
}
