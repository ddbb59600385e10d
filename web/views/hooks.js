// Hooks: the programs, whether the machines have them, what they are bound to, and what became of them lately.

import { many } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { nameOf } from "/lib/commands.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { seconds, StepMark } from "/lib/steps.js";
import { can, onEvent, resets } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { confirm, ProblemNote, toast } from "/components/dialog.js";
import { useFeed } from "/views/events/feed.js";
import { Lines } from "/views/events/line.js";
import { useAct, useList } from "/views/parts/loading.js";
import { focusHeading, focusOpener, Listing, MachineLink, Page, roughly, steps, Submit, Table, Text, useFirstField, valuesOf } from "/views/parts/page.js";

/** @import { Command, StepState } from "/lib/types.js" */

/** @typedef {{name: string, hash: string, size: number, added_at: string, added_by: string, used: boolean, machines: {machine: string, ready: boolean, why: string|null}[]}} Program */
/** @typedef {{event: string, targets: string[], program: string, timeout_ms: number, on_failure: string, user: string|null, environment: Record<string, string>, secrets: string[], not_ready: string[]}} Binding */

/** How long changes are gathered before the list is looked at again, in milliseconds. */
const GATHER = 500;

/** The most fates that are shown. */
const FATES = 30;

export default function Hooks() {
  const held = useSignal(/** @type {{programs: Program[], bindings: Binding[]}|null} */ (null));
  const problem = useSignal(/** @type {any} */ (null));
  const adding = useSignal("");
  const look = () =>
    call("GET", "/hooks").then(
      (all) => {
        held.value = all;
        problem.value = null;
      },
      (error) => {
        problem.value = error;
      },
    );
  useEffect(() => {
    let timer = 0;
    const stop = resets.subscribe(() => void look());
    const again = () => {
      timer = 0;
      look();
    };
    const deaf = onEvent(({ kind }) => {
      if (/^(program\.|config\.|machine\.(joined|removed))/.test(kind)) timer ||= setTimeout(again, GATHER);
    });
    return () => {
      clearTimeout(timer);
      stop();
      deaf();
    };
  }, []);
  const admin = can("configure");
  const all = held.value;
  const missing = all?.bindings.filter(({ program }) => !all.programs.some(({ name }) => name === program)).map(({ program }) => program) ?? [];
  const close = () => {
    adding.value = "";
    focusOpener();
  };
  const done = (/** @type {Program} */ made) => {
    close();
    toast(`${made.name} is added; machines fetch it when they need it.`, "good");
    look();
  };
  return html`<${Page} title="Hooks" about="Programs that run before and after commands and triggers. The configuration says when."
    actions=${admin && html`<button type="button" class="primary" data-open aria-expanded=${adding.value !== ""} onClick=${() => (adding.value = adding.value ? "" : "*")}>Add a program…</button>`}>
    ${adding.value && html`<${Upload} key=${adding.value} name=${adding.value === "*" ? "" : adding.value} known=${all?.programs ?? []} done=${done} close=${close} />`}
    <${ProblemNote} problem=${problem.value} />
    ${!all && !problem.value && html`<p role="status">Loading…</p>`}
    ${all && html`<section aria-labelledby="programs"><h2 id="programs">Programs</h2>
        ${missing.length > 0 && html`<p class="problem" role="alert">The configuration names ${[...new Set(missing)].join(", ")}, and there is no such program: its hooks fail.</p>`}
        ${all.programs.length ? html`<${Table} caption="Programs" rows=${all.programs} keyOf=${(/** @type {Program} */ one) => one.name} columns=${programs(admin, look, (name) => (adding.value = name))} rowProps=${(/** @type {Program} */ one) => ({ "data-program": one.name })} />` : html`<p class="nothing">No program has been added.</p>`}</section>
      <section aria-labelledby="bindings"><h2 id="bindings">When they run</h2>
        ${all.bindings.length ? html`<${Table} caption="Hooks, in the order in which they run" rows=${all.bindings.map((one, at) => ({ ...one, at }))} keyOf=${(/** @type {any} */ one) => String(one.at)} columns=${BINDINGS} />` : html`<p class="nothing">No hook is configured. They stand in the <a href=${href("/config")}>configuration</a>.</p>`}</section>`}
    <${Fates} />
  <//>`;
}

/**
 * @param {boolean} admin
 * @param {() => void} look
 * @param {(name: string) => void} replace
 * @returns {import("/views/parts/page.js").Column<Program>[]}
 */
function programs(admin, look, replace) {
  return [
    { label: "Program", head: true, cell: (one) => html`${one.name} <code class="id" title=${one.hash}>${one.hash.slice(0, 10)}</code>` },
    { label: "Size", cell: (one) => `${one.size.toLocaleString("en")} bytes` },
    { label: "Added", cell: (one) => html`<span><${Time} at=${one.added_at} as="date" /> <span class="quiet">by ${one.added_by}</span></span>` },
    { label: "On machines", cell: (one) => html`<${Ready} one=${one} />` },
    ...(admin ? [{ label: "Actions", quiet: true, class: "actions", cell: (/** @type {Program} */ one) => html`<${Change} one=${one} look=${look} replace=${replace} />` }] : []),
  ];
}

/** @param {{one: Program}} props */
function Ready({ one: { machines, used } }) {
  if (!machines.length) return html`<span class="quiet">${used ? "runs on the manager's host only" : "no hook uses it"}</span>`;
  const away = machines.filter((one) => !one.ready);
  if (!away.length) return html`<span class="good">✓ ready on ${many(machines.length, "machine")}</span>`;
  return html`<details><summary><span class="bad">not ready on ${away.length}</span> of ${many(machines.length, "machine")}</summary>
    <ul>${away.map(({ machine, why }) => html`<li key=${machine}><${MachineLink} name=${machine} /> <span class="quiet">${why ?? "not fetched yet"}</span></li>`)}</ul></details>`;
}

/** @param {{one: Program, look: () => void, replace: (name: string) => void}} props */
function Change({ one, look, replace }) {
  const act = useAct();
  const remove = async () => {
    const body = one.used ? "The configuration names it still: take its hooks out there first." : "Machines drop it. It must be added again to be used.";
    if (!(await confirm({ title: `Remove the program ${one.name}?`, body, action: one.used ? "" : "Remove", danger: true }))) return;
    if (!(await act.run(() => call("DELETE", `/hooks/${encodeURIComponent(one.name)}`)))) return;
    toast(`${one.name} is removed.`, "good");
    look();
    focusHeading();
  };
  return html`<div class="row-actions"><button type="button" aria-label=${`Replace ${one.name}`} onClick=${() => replace(one.name)}>Replace…</button>
    <button type="button" class="danger-text" data-action="program-remove" aria-label=${`Remove ${one.name}`} onClick=${remove}>Remove…</button><${ProblemNote} problem=${act.problem.value} /></div>`;
}

/** @type {import("/views/parts/page.js").Column<Binding>[]} */
const BINDINGS = [
  { label: "Event", head: true, cell: (one) => one.event },
  { label: "On", cell: (one) => html`<span class="targets">${one.targets.map((name) => html`<code key=${name}>${name}</code> `)}</span>` },
  { label: "Program", cell: (one) => html`${one.program}${one.not_ready.map((why) => html`<p class="bad">${why}</p>`)}` },
  { label: "At most", cell: (one) => seconds(one.timeout_ms) },
  { label: "If it fails", cell: (one) => (one.on_failure === "warn" ? "only noted" : one.event.startsWith("pre-") ? "stops the command" : "counts as failed") },
  { label: "User", cell: (one) => one.user },
  { label: "Besides", cell: (one) => [Object.keys(one.environment).length && `sets ${Object.keys(one.environment).join(", ")}`, one.secrets.length && `secrets ${one.secrets.join(", ")}`].filter(Boolean).join("; ") },
];

/** @param {{name: string, known: Program[], done: (made: Program) => void, close: () => void}} props */
function Upload({ name, known, done, close }) {
  const act = useAct();
  const form = useFirstField();
  const file = useRef(/** @type {HTMLInputElement|null} */ (null));
  const typed = useSignal(name);
  const picked = (/** @type {any} */ event) => {
    if (!typed.peek()) typed.value = event.target.files?.[0]?.name ?? "";
  };
  const submit = (/** @type {SubmitEvent} */ event) => {
    const wanted = name || valuesOf(event).name;
    event.preventDefault();
    const blob = file.current?.files?.[0];
    if (blob) act.run(async () => done(await call("POST", `/hooks?name=${encodeURIComponent(wanted)}`, blob)));
  };
  const old = known.find((one) => one.name === typed.value.trim());
  return html`<form class="panel" ref=${form} onSubmit=${submit} aria-label=${name ? `Replace ${name}` : "Add a program"}>
    <div class="fields">
      <div class="field"><label for="program-file">Program</label><input id="program-file" type="file" name="file" required ref=${file} onChange=${picked} /><p class="hint">A script with its “#!” line, or an executable.</p></div>
      ${!name && html`<${Text} label="Name" name="name" required maxlength="128" value=${typed.value} onInput=${(/** @type {any} */ event) => (typed.value = event.target.value)} hint="By which the configuration calls it." />`}
    </div>
    ${old && html`<p class="note">It replaces the ${old.name} of <${Time} at=${old.added_at} as="date" />${old.used ? ": its hooks run the new one from now on." : "."}</p>`}
    <${Submit} act=${act} label=${old ? "Replace the program" : "Add the program"}><button type="button" onClick=${close}>Cancel</button><//>
  </form>`;
}

/** What became of hooks lately. */
function Fates() {
  const feed = useFeed({ kind: ["hook."], service: "", machine: "", actor: "", state: "", text: "" }, () => false);
  const drawn = useRef(new Map());
  const events = feed.events.value.slice(0, FATES);
  return html`<section aria-labelledby="fates"><h2 id="fates">What became of them</h2>
    ${events.length > 0 ? html`<${Lines} events=${events} label="Hooks that ran, newest first" drawn=${drawn.current} /><p class="links"><a href=${href("/events", { kind: "hooks" })}>All that is kept</a></p>` : feed.loaded.value && html`<p class="nothing">No hook has run yet.</p>`}
  </section>`;
}

// Schedules: commands that the clock gives.

/** @typedef {{name: string, cron: string, timezone: string, command: Command, targets: string[], enabled: boolean, next_at: string|null, last_at: string|null, last_operation: string|null, last_result: StepState|null, running: boolean, missed: number, last_missed_at: string|null, last_missed: string|null}} Schedule */

export function Schedules() {
  const list = /** @type {import("/views/parts/loading.js").List<Schedule>} */ (useList("/schedules?limit=200", /^(config\.|schedule\.|operation\.state)/));
  const how = html`They stand in the <a href=${href("/config")}>configuration</a>${can("configure") ? ", where you change them." : "."}`;
  return html`<${Page} title="Schedules" about=${html`Commands that the clock gives. A run that was missed is told, and not caught up. ${how}`}>
    <${Listing} list=${list} what="schedules" empty="Nothing is scheduled.">
      <${Table} caption="Schedules" rows=${list.items.value} keyOf=${(/** @type {Schedule} */ one) => one.name} columns=${COLUMNS} rowProps=${(/** @type {Schedule} */ one) => ({ "data-schedule": one.name, class: one.enabled ? undefined : "spent" })} />
    <//>
  <//>`;
}

/** @type {import("/views/parts/page.js").Column<Schedule>[]} */
const COLUMNS = [
  { label: "Schedule", head: true, cell: (one) => one.name },
  { label: "When", cell: (one) => html`<span><code>${one.cron}</code> <span class="quiet">${one.timezone}</span></span>` },
  { label: "What", cell: (one) => `${nameOf(one.command)} ${one.targets.join(", ")}` },
  { label: "Next", cell: (one) => (one.enabled ? one.next_at ? html`<span>${roughly(one.next_at, steps.value)} <span class="quiet">(<${Time} at=${one.next_at} as="date" />)</span></span>` : html`<span class="quiet">never</span>` : html`<span class="quiet">turned off</span>`) },
  { label: "Last run", cell: last },
  {
    label: "Missed",
    cell: (one) => one.missed > 0 && html`<span><b class="bad">${one.missed}</b>${one.last_missed_at && html`, last <${Time} at=${one.last_missed_at} as="date" />`}${one.last_missed && html` <span class="quiet">${one.last_missed}</span>`}</span>`,
  },
];

/** @param {Schedule} one */
function last({ running, last_at: at, last_operation: operation, last_result: result }) {
  if (!at && !running) return html`<span class="quiet">not yet</span>`;
  const mark = html`<${StepMark} state=${running ? "running" : (result ?? "unknown")} />`;
  return html`<span>${operation ? html`<a class="name" href=${href(`/operations/${operation}`)}>${mark}</a>` : mark} ${at && html`<span class="quiet"><${Time} at=${at} as="date" /></span>`}</span>`;
}
