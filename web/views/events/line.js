// One event as it is shown: when, what in a sentence, and everything on demand.

import { html, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { Time } from "/lib/time.js";
import { Shape } from "/components/state.js";
import { MachineLink, ServiceLink } from "/views/parts/page.js";

/** @import { GridEvent, Service } from "/lib/types.js" */

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

// Events as sentences that people read. Pure: no page, no clock.

/** @typedef {{to: "service" | "machine" | "actor" | "operation", name: string, id?: string}} Link a name that leads somewhere */
/** @typedef {{to: "time", name: string}} Moment a time */
/** @typedef {string | Link | Moment} Part a piece of a sentence */

/** The words of states. */
const STATE_WORDS = { not_available: "not available" };

/**
 * What stands before and behind the service when a trigger was delivered. A stop is a request: that it stopped is an
 * event of its own.
 * @type {Record<string, [string, string]>}
 */
const TRIGGERED = { start: ["started", ""], stop: ["told", " to stop"], kill: ["killed", ""] };

/** How the outcomes of a trigger are told. */
const OUTCOMES = {
  done: "delivered",
  ignored: "ignored, there was no need",
  refused: "refused",
  failed: "failed",
  not_available: "not sent, the agent was not linked",
  unknown: "sent, and nobody knows what became of it",
};

/** @param {string | null | undefined} name @returns {Part} */
const service = (name) => (name ? { to: "service", name } : "a service");
/** @param {string | null | undefined} name @returns {Part} */
const machine = (name) => (name ? { to: "machine", name } : "a machine");
/** @param {string | null | undefined} name @returns {Part} */
const actor = (name) => (name ? { to: "actor", name } : "Somebody");

/**
 * A state in words.
 * @param {string} state
 */
export const stateWord = (state) => /** @type {Record<string, string>} */ (STATE_WORDS)[state] ?? state;

/**
 * Whether a service ended without anybody wanting it to.
 * @param {Partial<Service> | null | undefined} view
 */
export const isCrashed = (view) => view?.state === "stopped" && view.last_exit?.wanted === false;

/** @param {unknown} text a remark to put behind a sentence */
const because = (text) => (text ? `: ${text}` : "");

/**
 * Names, with how many more where there are many.
 * @param {string[]} names
 * @param {"service" | "machine"} to
 * @returns {Part[]}
 */
function list(names, to) {
  const most = 4;
  /** @type {Part[]} */
  const parts = names.slice(0, most).flatMap((name, at) => (at ? [", ", { to, name }] : [{ to, name }]));
  return names.length > most ? [...parts, ` and ${names.length - most} more`] : parts;
}

/** How long before its event a state may have begun without its time being told, in milliseconds: silence is noticed late. */
const LATE = 30_000;

/**
 * Since when, where a state began well before it was told: a service tells its whole status whenever anything of it
 * changes, and when it is heard from again.
 * @param {GridEvent} event
 * @returns {Part[]}
 */
function since(event) {
  const began = event.data?.since;
  return Date.parse(event.at) - Date.parse(began) > LATE ? [", since ", { to: "time", name: began }] : [];
}

/** @param {GridEvent} event @returns {Part[]} */
function serviceState(event) {
  const view = /** @type {Partial<Service>} */ (event.data ?? {});
  const name = service(event.service ?? view.name);
  const before = since(event);
  if (isCrashed(view)) {
    const how = because(view.last_exit?.how ?? view.reason);
    return before.length ? [name, " is stopped (crashed)", ...before, how] : [name, ` crashed${how}`];
  }
  const known = view.last_state ? `, last known ${stateWord(view.last_state)}` : "";
  return [name, ` is ${stateWord(view.state ?? "in an unknown state")}${known}`, ...before, because(view.reason)];
}

/** @param {GridEvent} event @returns {Part[]} */
function machineState(event) {
  const { connected, revoked_at: revoked, instances } = event.data ?? {};
  const count = typeof instances === "number" ? `, with ${instances} ${instances === 1 ? "instance" : "instances"}` : "";
  return [machine(event.machine), connected ? ` is linked${count}` : revoked ? " is revoked" : " is away"];
}

/** @param {GridEvent} event @returns {Part[]} */
function trigger(event) {
  const { action = "trigger", outcome = "unknown", message = "" } = event.data ?? {};
  const name = service(event.service);
  if (outcome === "done") {
    const [before, behind] = TRIGGERED[action] ?? [`triggered ${action} of`, ""];
    return [actor(event.actor), ` ${before} `, name, behind + because(message)];
  }
  const told = /** @type {Record<string, string>} */ (OUTCOMES)[outcome] ?? outcome;
  return [actor(event.actor), ` asked to ${action} `, name, `: ${told}${message ? ` (${message})` : ""}`];
}

/** @param {GridEvent} event @returns {Part[]} */
function tags(event) {
  const { services = [], machines = [], add = [], remove = [] } = event.data ?? {};
  const what = [add.length ? `added ${hashes(add)}` : "", remove.length ? `removed ${hashes(remove)}` : ""];
  const on = [list(services, "service"), list(machines, "machine")].filter((parts) => parts.length);
  const where = on.flatMap((parts, at) => (at ? [" and ", ...parts] : parts));
  const preposition = add.length ? " on " : " from ";
  return [actor(event.actor), ` ${what.filter(Boolean).join(" and ") || "changed tags"}`, preposition, ...where];
}

/** @param {string[]} names */
const hashes = (names) => names.map((name) => `#${name}`).join(", ");

/** @param {GridEvent} event @returns {Part[]} */
function userChanged(event) {
  const { user = "?", role, what } = event.data ?? {};
  if (role) return [actor(event.actor), ` gave the user ${user} the role ${role}`];
  if (/password/.test(what ?? "")) return [actor(event.actor), ` changed the password of ${user}`];
  if (/session|logout|everywhere/.test(what ?? "")) return [actor(event.actor), ` logged ${user} out everywhere`];
  return [actor(event.actor), ` changed the user ${user}${because(what)}`];
}

/** @param {GridEvent} event @returns {Part[]} */
function tokenCreated(event) {
  const { id = "?", type = "api", role, machine: name, owner } = event.data ?? {};
  const only = type === "join" ? (name ? ` for the machine ${name}` : "") : role ? ` with the role ${role}` : "";
  const whose = owner && owner !== event.actor ? ` for ${owner}` : "";
  const kind = type === "join" ? "a join token" : "an API token";
  return [actor(event.actor), ` made ${kind}${only}${whose} (${id})`];
}

/** How the states of steps are told. @type {Record<string, string>} */
const ENDED = { done: "done", ignored: "there was no need", timed_out: "the time was up", partly_failed: "not all of it was done", vetoed: "a hook stopped it", not_available: "it could not be reached", conflict: "another operation holds it" };

/** @param {string} state */
const ending = (state) => ENDED[state] ?? state;

/** @param {any} view of an operation @returns {Part} */
const operation = ({ id = "", command = "an operation", targets = [] }) => ({ to: "operation", id, name: `${command} ${targets.slice(0, 3).join(", ")}${targets.length > 3 ? ` and ${targets.length - 3} more` : ""}`.trim() });

/** @param {GridEvent} event @returns {Part[]} */
function operationState(event) {
  const { state, result, message, services } = event.data ?? {};
  const what = operation(event.data ?? {});
  const who = actor(event.actor ?? event.data?.actor);
  if (state === "running") return [who, " began to ", what, services?.total > 1 ? `, ${services.total} services` : ""];
  if (state === "cancelling") return [what, ` is being cancelled${because(message)}`];
  if (state === "interrupted") return [what, " was interrupted: somebody must resume it"];
  return [what, ` has ended: ${message || ending(result ?? "unknown")}`];
}

/** @param {GridEvent} event @returns {Part[]} */
function hookRan(event) {
  const { event: at = "a hook", program = "?", place, fate = "ran", exit_code: code, message, why } = event.data ?? {};
  const where = event.service ? [" on ", service(event.service)] : place === "manager" ? [" on the manager"] : event.machine ? [" on ", machine(event.machine)] : [];
  const how = fate === "ran" && code != null ? (code === 0 ? "ran" : `failed with exit code ${code}`) : String(fate).replace("_", " ");
  return [`The hook ${at} ${program}`, ...where, ` ${how}${because(why ?? message)}`];
}

/** @param {GridEvent} event @returns {Part[]} */
function configApplied(event) {
  const { version, cause, added = 0, removed = 0 } = event.data ?? {};
  const how = cause === "restore" ? "restored an earlier configuration" : cause === "collection" ? "changed a collection" : "applied a configuration";
  return [actor(event.actor), ` ${how}: version ${version}, ${added} lines added, ${removed} removed`];
}

/** @param {GridEvent} event @param {string} did @returns {Part[]} */
const program = (event, did) => [actor(event.actor), ` ${did} the program ${event.data?.name ?? event.data?.program ?? "?"}`];

/** @type {Record<string, (event: GridEvent) => Part[]>} */
const TELL = {
  "operation.state": operationState,
  "hook.ran": hookRan,
  "config.applied": configApplied,
  "program.added": (event) => program(event, "added"),
  "program.removed": (event) => program(event, "removed"),
  "program.state": (event) => [`The program ${event.data?.program ?? event.data?.name ?? "?"} is ${event.data?.ready ? "ready" : "not ready"} on `, machine(event.machine), because(event.data?.why)],
  "schedule.missed": (event) => [`The schedule ${event.data?.schedule ?? event.data?.name ?? "?"} missed ${event.data?.count > 1 ? `${event.data.count} runs` : "a run"}${because(event.data?.message)}`],
  "service.state": serviceState,
  "service.gone": (event) => [service(event.service), " is no longer there"],
  "machine.state": machineState,
  "machine.joined": (event) => [machine(event.machine), " joined the grid"],
  "machine.removed": (event) => [actor(event.actor), " removed ", machine(event.machine), " from the grid"],
  "machine.revoked": (event) => [actor(event.actor), " revoked the agent of ", machine(event.machine)],
  "machine.refused": (event) =>
    event.machine
      ? ["The agent of ", machine(event.machine), ` was turned away${because(event.data?.message)}`]
      : [`An agent was turned away${because(event.data?.message)}`],
  "token.created": tokenCreated,
  "token.revoked": (event) => [actor(event.actor), ` revoked the token ${event.data?.id ?? "?"}`],
  trigger,
  login: (event) => [actor(event.actor), ` logged in${from(event)}`],
  "login.failed": (event) => ["A login as ", actor(event.actor), ` failed${from(event)}`],
  logout: (event) => [actor(event.actor), " logged out"],
  "user.created": (event) => [
    actor(event.actor),
    ` added the user ${event.data?.user ?? "?"}${event.data?.role ? ` with the role ${event.data.role}` : ""}`,
  ],
  "user.changed": userChanged,
  "user.removed": (event) => [actor(event.actor), ` removed the user ${event.data?.user ?? "?"}`],
  "tags.changed": tags,
  "action.refused": (event) => [
    actor(event.actor),
    ` was refused ${event.data?.action ?? "an action"}${event.data?.subject ? ` on ${event.data.subject}` : ""}`,
    because(event.data?.message),
  ],
  "manager.state": (event) =>
    event.data?.problems?.length
      ? [`The manager has a problem: ${event.data.problems.join("; ")}`]
      : ["The manager is well again"],
  "manager.started": (event) => [
    `The manager started${event.data?.host ? ` on ${event.data.host}` : ""}`,
    event.data?.version ? `, version ${event.data.version}` : "",
  ],
};

/** @param {GridEvent} event */
const from = (event) => (event.data?.from ? ` from ${event.data.from}` : "");

/**
 * An event as a sentence. A kind of a later version is told by its name.
 * @param {GridEvent} event
 * @returns {Part[]}
 */
export function sentence(event) {
  const tell = Object.hasOwn(TELL, event.kind) ? TELL[event.kind] : null;
  if (tell) return tell(event).filter((part) => part !== "");
  /** @type {Part[]} */
  const about = event.service ? [" of ", service(event.service)] : event.machine ? [" of ", machine(event.machine)] : [];
  return [event.kind, ...about, ...(event.actor ? [/** @type {Part} */ (" by "), actor(event.actor)] : [])];
}

/**
 * A sentence without its links, to search in and to read aloud.
 * @param {Part[]} parts
 */
export const plain = (parts) => parts.map((part) => (typeof part === "string" ? part : part.name)).join("");

/**
 * How loud an event is shown.
 * @param {GridEvent} event
 * @returns {"good" | "moving" | "bad" | "lost" | "quiet"}
 */
export function tone(event) {
  const data = event.data ?? {};
  switch (event.kind) {
    case "service.state":
      if (isCrashed(data) || data.state === "unresponsive") return "bad";
      if (data.state === "not_available") return "lost";
      if (data.state === "starting" || data.state === "stopping") return "moving";
      return data.state === "active" ? "good" : "quiet";
    case "machine.state":
      return data.connected ? "good" : "lost";
    case "trigger":
      return ["failed", "refused", "unknown", "not_available"].includes(data.outcome) ? "bad" : "quiet";
    case "manager.state":
      return data.problems?.length ? "bad" : "good";
    case "operation.state":
      if (data.state === "ended") return data.result === "done" ? "good" : ["ignored", "cancelled", "superseded"].includes(data.result) ? "quiet" : "bad";
      return data.state === "interrupted" ? "bad" : "moving";
    case "hook.ran":
      return (data.fate === "ran" && !data.exit_code) || data.fate === "skipped" ? "quiet" : "bad";
    case "schedule.missed":
    case "machine.refused":
    case "login.failed":
    case "action.refused":
      return "bad";
    default:
      return "quiet";
  }
}
