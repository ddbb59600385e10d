// The page of one service: everything that is known of it, what can be done, and what happened.

import { html, useComputed, useId, useRef, useSignal } from "/lib/html.js";
import { VERBS, dismiss, outcomes } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { claims, summed, underWay } from "/lib/commands.js";
import { href, route } from "/lib/router.js";
import { distance } from "/lib/search.js";
import { can, live, loaded, machines, services } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Commands } from "/components/menu.js";
import { ProblemNote } from "/components/dialog.js";
import { StateMark, shownState } from "/components/state.js";
import { FeedProblem, Newer, useFeed } from "/views/events/feed.js";
import { Lines } from "/views/events/line.js";
import { useAct } from "/views/parts/loading.js";
import { Page, focusHeading } from "/views/parts/page.js";

/** @import { Exit, Machine, Service } from "/lib/types.js" */

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

// What is known of a service and of its machine; their tags, and changing them; which names are like one.

/**
 * A term and what it is; nothing where nothing is known.
 * @param {{term: string, children?: any}} props
 */
function Fact({ term, children }) {
  const nothing = children === null || children === undefined || children === "" || children === false || children.length === 0;
  return !nothing && html`<div><dt>${term}</dt><dd>${children}</dd></div>`;
}

/** @param {Exit} exit */
const ending = (exit) => html`<span class=${exit.wanted ? undefined : "bad"}>${exit.wanted ? "wanted" : "not wanted"}: ${exit.how}</span>, <${Time} at=${exit.at} suffix=" ago" /> <span class="quiet">(<${Time} at=${exit.at} as="date" />)</span>`;

/** @param {{service: Service}} props */
function Facts({ service }) {
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
function MachineFacts({ machine }) {
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

// The tags of a service or of a machine, and changing them.

/** What a tag may be. */
const TAG = "[A-Za-z0-9._\\-]{1,64}";

/**
 * The tags of a service: its own can be changed, those of its machine are shown.
 * @param {{service: Service, machine: Machine | undefined}} props
 */
function TagEditor({ service, machine }) {
  const agent = service.type === "agent";
  const inherited = new Set(machine?.tags ?? []);
  const own = (service.tags ?? []).filter((tag) => !inherited.has(tag));
  return html`<section class="panel" aria-labelledby="tags">
    <h2 id="tags">Tags</h2>
    ${agent && html`<p class="hint">An agent has the tags of its machine.</p>`}
    ${!agent && html`<${Tagging} tags=${own} of=${service.name} change=${(/** @type {object} */ tags) => ({ ...tags, services: [service.name] })} />`}
    ${inherited.size > 0 && html`<p class="inherited"><span class="quiet">${agent ? "" : "of its machine: "}</span>${[...inherited].map((tag) => html`<a key=${tag} class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a> `)}</p>`}
  </section>`;
}

/**
 * Tags with buttons to take them away, and a field to add one.
 * @param {{tags: string[], of: string, change: (tags: {add?: string[], remove?: string[]}) => object}} props
 */
export function Tagging({ tags, of, change }) {
  const act = useAct();
  const text = useSignal("");
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const id = useId();
  const said = useSignal("");
  const allowed = can("tag");
  const add = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const fresh = text.peek().split(/[\s,#]+/).filter(Boolean);
    if (!fresh.length) return;
    if (!(await act.run(() => call("POST", "/tags", change({ add: fresh }))))) return;
    text.value = "";
    said.value = `Added ${fresh.join(", ")}`;
  };
  const remove = async (/** @type {string} */ tag) => {
    if (!(await act.run(() => call("POST", "/tags", change({ remove: [tag] }))))) return;
    said.value = `Removed ${tag}`;
    // The button that had the focus is gone.
    input.current?.focus();
  };
  return html`<div class="tagging">
    ${tags.length > 0
      ? html`<ul class="tags" role="list" aria-label=${`Tags of ${of}`}>${tags.map((tag) => html`<li key=${tag}><a class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a>${allowed && html`<button type="button" class="icon" data-action="tag-remove" aria-label=${`Remove the tag ${tag} of ${of}`} disabled=${act.busy.value} onClick=${() => remove(tag)}>✕</button>`}</li>`)}</ul>`
      : html`<p class="quiet">No tags${allowed ? "." : ""}</p>`}
    ${allowed && html`<form onSubmit=${add} class="add-tag">
      <label for=${id} class="only-read">New tags of ${of}</label>
      <input id=${id} ref=${input} value=${text.value} onInput=${(/** @type {any} */ event) => (text.value = event.currentTarget.value)} placeholder="new tag" autocomplete="off" spellcheck=${false} pattern=${`[#\\s,]*${TAG}([\\s,#]+${TAG})*[\\s,]*`} title="Letters, digits, . _ -" maxlength="300" />
      <button type="submit" data-action="tag-add" disabled=${act.busy.value}>Add</button>
    </form>`}
    <${ProblemNote} problem=${act.problem.value} />
    <span class="only-read" role="status">${said.value}</span>
  </div>`;
}

// Which names come nearest to one that is not there. Pure.

/** The longest name that is compared. */
const LONGEST = 64;

/**
 * At most five names that are like one, the nearest first.
 * @param {string} name
 * @param {string[]} names
 */
function nearest(name, names) {
  const asked = name.toLowerCase().slice(0, LONGEST);
  if (!asked) return [];
  const far = (/** @type {string} */ other) => {
    const known = other.toLowerCase().slice(0, LONGEST);
    return known.includes(asked) || asked.includes(known) ? 0 : distance(asked, known);
  };
  const most = Math.max(2, Math.floor(asked.length / 3));
  const near = names.map((other) => /** @type {const} */ ([far(other), other])).filter(([steps]) => steps <= most);
  return near.sort((a, b) => a[0] - b[0] || a[1].localeCompare(b[1])).slice(0, 5).map(([, other]) => other);
}
