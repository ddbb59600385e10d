// Machines: which there are, whether their agents are linked, and how more join.

import { call } from "/lib/api.js";
import { computed, html, useSignal } from "/lib/html.js";
import { href, route, setQuery } from "/lib/router.js";
import { can, live, loaded, machines, services } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { confirm, Copy, Dialog, ProblemNote, toast } from "/components/dialog.js";
import { Shape, shownState, stateWord, WORST_FIRST } from "/components/state.js";
import { Choice, Filter, focusHeading, JOIN_SPANS, Listing, Page, roughly, Secret, steps, Submit, Table, Tags, Text, tokenState, useFirstField, useSecrets, valuesOf } from "/views/parts/page.js";
import { useAct, useList } from "/views/parts/loading.js";
import { memory, Tagging } from "/views/service.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { List, Machine, Service, Token } from "/lib/types.js" */

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

/** @returns {import("/lib/types.js").Column<Machine>[]} */
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

// The instances of a machine, counted by state.

/** The instances of each machine. A service never moves to another. */
const instances = computed(() => {
  /** @type {Map<string, Signal<Service>[]>} */
  const all = new Map();
  for (const held of services.value.values()) {
    const { machine, type } = held.peek();
    if (type !== "instance") continue;
    const known = all.get(machine);
    if (known) known.push(held);
    else all.set(machine, [held]);
  }
  return all;
});

/**
 * The names of the instances of a machine.
 * @param {string} machine
 */
export const instancesOf = (machine) => (instances.value.get(machine) ?? []).map((held) => held.peek().name);

/**
 * How many instances of a machine are in which state; only this is drawn again when one of them changes.
 * @param {{machine: string}} props
 */
export function Counts({ machine }) {
  const states = (instances.value.get(machine) ?? []).map((held) => shownState(held.value));
  if (!states.length) return html`<span class="quiet">none</span>`;
  const counts = WORST_FIRST.map((state) => /** @type {const} */ ([state, states.filter((other) => other === state).length])).filter(([, count]) => count);
  return html`<ul class="counts" role="list">${counts.map(([state, count]) => html`<li key=${state}>
    <a class=${`s-${state}`} href=${href("/", { q: `machine:${machine}`, state })} title=${`${count} ${stateWord(state)}`}><${Shape} state=${state} />${count}<span class="only-read"> ${stateWord(state)}</span></a>
  </li>`)}</ul>`;
}

// What can be done with a machine: tags, revoking its agent, removing it.

/** The most names that a question lists. */
const LISTED = 20;

/** @param {{machine: Machine}} props */
export function Actions({ machine }) {
  const tagging = useSignal(false);
  const act = useAct();
  const { name } = machine;
  const path = `/machines/${encodeURIComponent(name)}`;
  const revoke = async () => {
    const body = html`<p>Its link ends at once, and its key is never taken again: this is for a key that may be in wrong hands. Its Tomcats live on, and are shown as not available.</p>
      <p>To come back, the machine must be removed here and join again with a new token.</p>`;
    if (!(await confirm({ title: `Revoke the agent of ${name}?`, body, action: "Revoke the agent", danger: true }))) return;
    if (await act.run(() => call("POST", `${path}/revoke`))) toast(`The agent of ${name} is revoked.`, "good");
  };
  const remove = async () => {
    const question = { title: `Remove ${name} from the grid?`, body: html`<${Consequences} machine=${machine} />`, action: "Remove the machine", danger: true, typed: machine.connected ? name : undefined };
    if (!(await confirm(question))) return;
    if (!(await act.run(() => call("DELETE", `${path}${machine.connected ? "?force=true" : ""}`)))) return;
    toast(`The machine ${name} is removed.`, "good");
    focusHeading();
  };
  return html`<div class="row-actions">
    <button type="button" data-action="machine-tags" aria-label=${`Tags of ${name}`} onClick=${() => (tagging.value = true)}>Tags…</button>
    ${can("manage") && !machine.revoked_at && html`<button type="button" data-action="machine-revoke" aria-label=${`Revoke the agent of ${name}`} onClick=${revoke}>Revoke…</button>`}
    ${can("manage") && html`<button type="button" data-action="machine-remove" class="danger-text" aria-label=${`Remove the machine ${name}`} onClick=${remove}>Remove…</button>`}
    <${ProblemNote} problem=${act.problem.value} />
    ${tagging.value && html`<${Dialog} title=${`Tags of ${name}`} onClose=${() => (tagging.value = false)}>
      <div class="body">
        <p>All instances of the machine have them, too.</p>
        <${Tagging} tags=${machine.tags ?? []} of=${name} change=${(/** @type {object} */ tags) => ({ ...tags, machines: [name] })} />
      </div>
    <//>`}
  </div>`;
}

/** What goes when a machine is removed. @param {{machine: Machine}} props */
function Consequences({ machine }) {
  const names = instancesOf(machine.name);
  const more = names.length - LISTED;
  return html`
    ${machine.connected && html`<p class="problem">Its agent is linked now. It will be turned away from this moment on.</p>`}
    ${names.length > 0
      ? html`<p>${names.length === 1 ? "One service leaves" : `${names.length} services leave`} the grid with it. The Tomcats live on, unwatched:</p>
        <ul class="named">${names.slice(0, LISTED).map((name) => html`<li key=${name}>${name}</li>`)}${more > 0 && html`<li>and ${more} more</li>`}</ul>`
      : html`<p>It has no instances.</p>`}
    <p>To come back it needs a new join token.</p>`;
}

// Join tokens: making one with the line to start an agent, and those that there are.

/** @typedef {Token & {secret: string}} Made */

/** @param {{open: Signal<boolean>}} props */
export function JoinTokens({ open }) {
  const made = /** @type {import("/lib/types.js").Secrets<Made>} */ (useSecrets());
  const done = (/** @type {Made} */ token) => {
    made.hide(token);
    focusHeading();
  };
  return html`
    ${made.all.map((token) => html`<${JustMade} key=${token.id} token=${token} onDone=${() => done(token)} />`)}
    ${open.value && html`<section class="panel" aria-labelledby="join">
      <h2 id="join">Add machines</h2>
      <p>An agent joins with a token, once. From then on it comes back with its own key.</p>
      <${Make} keep=${made.add} />
      <${Others} />
    </section>`}`;
}

/** @param {{keep: (token: Made) => void}} props */
function Make({ keep }) {
  const act = useAct();
  const form = useFirstField();
  const submit = (/** @type {SubmitEvent} */ event) => {
    const { ttl, uses, machine } = valuesOf(event);
    act.run(async () => {
      const body = { type: "join", ttl_seconds: Number(ttl), uses: Number(uses), ...(machine ? { machine } : {}) };
      keep(await call("POST", "/tokens", body));
    });
  };
  return html`<form ref=${form} onSubmit=${submit} aria-label="Make a join token">
    <div class="fields">
      <${Choice} label="Good for" name="ttl" options=${JOIN_SPANS} value=${JOIN_SPANS[2][0]} />
      <${Text} label="Machines" name="uses" type="number" min="1" max="100000" step="1" value="1" required hint="How many may join with it." />
      <${Text} label="Only the machine" name="machine" maxlength="64" placeholder="any" hint="A name that is registered already: a host that was rebuilt." />
    </div>
    <${Submit} act=${act} label="Make a join token" />
  </form>`;
}

/** @param {{token: Made, onDone: () => void}} props */
function JustMade({ token, onDone }) {
  const host = useSignal(location.port ? location.host : `${location.hostname}:443`);
  const manager = `https://${host.value.trim() || location.host}`;
  const name = token.machine ? ` --name ${token.machine}` : "";
  const uses = token.max_uses ?? 1;
  const who = uses === 1 ? "One machine" : `${uses} machines`;
  const expired = Date.parse(token.expires_at) <= steps.value;
  return html`<${Secret} title="The new join token" label="Copy the token" secret=${token.secret} onDone=${onDone}>
    <p>${expired ? "It has expired: make another." : `${who} may join with it, for ${roughly(token.expires_at, steps.value).replace("in ", "")}.`}</p>
    <${Text} label="Manager, as the machine reaches it" value=${host.value} onInput=${(/** @type {any} */ event) => (host.value = event.currentTarget.value)} hint="Taken from this page's address." />
    <h3>With the token in a file</h3>
    <p class="hint">Save the token as <code>token</code> on the machine, readable by the agent only, then:</p>
    <${Copy} text=${`tomcat-grid-agent run --manager ${manager} --token-file token${name}`} label="Copy the line" />
    <h3>In one line</h3>
    <${Copy} text=${`TOMCAT_GRID_AGENT_TOKEN=${token.secret} tomcat-grid-agent run --manager ${manager}${name}`} label="Copy the line" />
    <p class="hint">The shell's history will hold the token.</p>
  <//>`;
}

/** The join tokens that there are. */
function Others() {
  const list = /** @type {List<Token>} */ (useList("/tokens?type=join&limit=200", /^(token\.|machine\.joined)/));
  const old = useSignal(false);
  const all = list.items.value;
  const good = all.filter((token) => tokenState(token, steps.value) === "good");
  const hidden = all.length - good.length;
  const shown = old.value ? all : good;
  return html`<h3 tabindex="-1" id="join-tokens">Join tokens</h3>
    <${Listing} list=${list} what="tokens" empty="There are no join tokens.">
      ${shown.length > 0 ? html`<${Table} caption="Join tokens" rows=${shown} keyOf=${(/** @type {Token} */ token) => token.id} columns=${tokenColumns(list)} rowProps=${(/** @type {Token} */ token) => ({ "data-token": token.id })} />` : html`<p class="nothing">${list.next.value ? `None of the ${all.length} tokens looked at can be used now; there are more.` : "No join token can be used now."}</p>`}
      ${hidden > 0 && html`<p class="also"><label class="check"><input type="checkbox" checked=${old.value} onChange=${() => (old.value = !old.value)} /> Show also ${hidden} that ${hidden === 1 ? "is" : "are"} used up, revoked or expired</label></p>`}
    <//>`;
}

/**
 * @param {List<Token>} list
 * @returns {import("/lib/types.js").Column<Token>[]}
 */
function tokenColumns(list) {
  return [
    { label: "Token", head: true, cell: (token) => html`<code class="id">${token.id}</code>` },
    { label: "For", cell: (token) => token.machine ?? "any machine" },
    { label: "Joined", class: "number", cell: (token) => `${token.uses ?? 0} of ${token.max_uses ?? "?"}` },
    { label: "Expires", cell: expiry },
    { label: "Made", cell: (token) => html`<span><${Time} at=${token.created_at} as="date" /> ${token.created_by && html`<span class="quiet">by ${token.created_by}</span>`}</span>` },
    { label: "Actions", quiet: true, class: "actions", cell: (token) => tokenState(token, steps.value) === "good" && html`<${Revoke} token=${token} list=${list} />` },
  ];
}

/** @param {Token} token */
function expiry(token) {
  const state = tokenState(token, steps.value);
  const word = state === "good" ? "" : `${state}, `;
  return html`<span class=${state === "good" ? undefined : "quiet"} title=${new Date(token.expires_at).toLocaleString()}>${state === "revoked" ? state : word + roughly(token.expires_at, steps.value)}</span>`;
}

/** @param {{token: Token, list: List<Token>}} props */
function Revoke({ token, list }) {
  const act = useAct();
  const revoke = async () => {
    const body = "No machine can join with it from now on. Those that did stay.";
    if (!(await confirm({ title: `Revoke the join token ${token.id}?`, body, action: "Revoke", danger: true }))) return;
    if (!(await act.run(() => call("DELETE", `/tokens/${encodeURIComponent(token.id)}`)))) return;
    toast("The join token is revoked.", "good");
    await list.reload();
    focusHeading("#join-tokens");
  };
  return html`<div class="row-actions">
    <button type="button" data-action="token-revoke" class="danger-text" aria-label=${`Revoke the join token ${token.id}`} onClick=${revoke}>Revoke…</button>
    <${ProblemNote} problem=${act.problem.value} />
  </div>`;
}
