// The audit: who did what, from where, and whether the record is whole.

import { call } from "/lib/api.js";
import { html, useEffect, useSignal } from "/lib/html.js";
import { route, setQuery } from "/lib/router.js";
import { can, onEvent } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Copy, ProblemNote } from "/components/dialog.js";
import { auditPath, Choice, Filter, Listing, localMinute, moment, Page, Table, Text, valuesOf } from "/views/parts/page.js";
import { useAct, useList } from "/views/parts/loading.js";

/** @import { Act, AuditCheck, AuditRecord, List } from "/lib/types.js" */
/** @import { Signal } from "/lib/html.js" */

/** What can be done, as the record calls it. */
const ACTIONS = [
  "trigger-start", "trigger-stop", "trigger-kill", "tag", "login", "logout", "logout-everywhere", "password-change",
  "password-reset", "user-create", "user-change", "user-remove", "token-create", "token-revoke", "machine-join",
  "machine-remove", "machine-revoke", "user-list", "token-list", "audit-read",
];

/** What can become of it. */
const OUTCOMES = ["done", "requested", "ignored", "refused", "failed", "not_available", "unknown"];

/** @param {string} first @param {string[]} words @returns {[string, string][]} */
const options = (first, words) => [["", first], ...words.map((word) => /** @type {[string, string]} */ ([word, word.replace("_", " ")]))];

export default function Audit() {
  if (!can("manage")) return html`<${Page} title="Audit"><p class="nothing">Only admins see the audit.</p><//>`;
  return html`<${Records} />`;
}

function Records() {
  const { query } = route.value;
  const list = /** @type {List<AuditRecord>} */ (useList(auditPath(query, 100)));
  const newer = useSignal(0);
  useEffect(() => onEvent((event) => { if (!event.passing && !/^(service|machine\.state|manager)/.test(event.kind)) newer.value++; }), []);
  const refresh = () => {
    newer.value = 0;
    list.reload();
  };
  const act = useAct();
  const verifying = useSignal(false);
  const found = useSignal(/** @type {AuditCheck | null} */ (null));
  const verify = (/** @type {string} */ expect) => {
    verifying.value = true;
    found.value = null;
    act.run(async () => {
      found.value = await call("GET", `/audit/verify${expect ? `?expect=${encodeURIComponent(expect)}` : ""}`);
    });
  };
  const buttons = html`<button type="button" onClick=${refresh}>${newer.value ? "Show what is new" : "Refresh"}</button>
    <button type="button" data-verify disabled=${act.busy.value} onClick=${() => verify("")}>Verify</button>`;
  return html`<${Page} title="Audit" about="Every action and every refused one. Records are only added, and each holds the hash of the one before it." actions=${buttons}>
    ${verifying.value && html`<${Verify} act=${act} found=${found} verify=${verify} />`}
    <${Filters} query=${query} />
    <${Listing} list=${list} what="records" filtered empty=${query.size ? "No record matches these filters." : "Nothing is recorded yet."}>
      <${Table} caption="Audit records, newest first" rows=${list.items.value} keyOf=${(/** @type {AuditRecord} */ record) => String(record.seq)} columns=${COLUMNS} rowProps=${(/** @type {AuditRecord} */ record) => ({ "data-seq": record.seq })} />
    <//>
  <//>`;
}

/** What somebody showed, and where they called from. At the Unix socket both are one. @param {AuditRecord} record */
const way = ({ credential, from }) => (credential === "socket" ? "at the Unix socket" : [credential, from && `from ${from}`].filter(Boolean).join(" "));

/** What is longer may not be shown whole, in characters. */
const LONG = 90;

/** What an action was on; much of it only when it is asked for. @param {{value: string}} props */
function Subject({ value }) {
  const open = useSignal(false);
  return html`<span class=${open.value ? "subject all" : "subject"}>${chosen("subject", value)}</span>
    ${value.length > LONG && html`<button type="button" class="show-all" aria-expanded=${open.value} onClick=${() => (open.value = !open.value)}>${open.value ? "Show less" : "Show all"}</button>`}`;
}

/** @type {import("/lib/types.js").Column<AuditRecord>[]} */
const COLUMNS = [
  { label: "No.", head: true, class: "number", cell: (record) => String(record.seq) },
  { label: "When", quiet: true, class: "when", cell: (record) => html`<${Time} at=${record.at} as="date" />` },
  { label: "Who", class: "caller", cell: (record) => html`<span>${chosen("actor", record.actor)} <span class="quiet">${way(record)}</span></span>` },
  { label: "Action", class: "action", cell: (record) => chosen("action", record.action) },
  { label: "On", cell: (record) => record.subject && html`<${Subject} value=${record.subject} />` },
  { label: "Outcome", cell: (record) => html`<span class=${`result o-${record.outcome}`}>${record.outcome.replace("_", " ")}</span>` },
  { label: "Detail", class: "detail", cell: (record) => record.detail },
  { label: "Hash", cell: (record) => html`<code class="id" title=${record.hash}>${record.hash.slice(0, 10)}</code>` },
];

/**
 * A value that filters by itself.
 * @param {string} key
 * @param {string} value
 */
const chosen = (key, value) => html`<button type="button" class="link" title=${`Show only ${key} ${value}`} onClick=${() => setQuery({ [key]: value })}>${value}</button>`;

/** @param {{query: URLSearchParams}} props */
function Filters({ query }) {
  const at = (/** @type {string} */ key) => query.get(key) ?? "";
  const typed = (/** @type {string} */ name) => ({ name, value: at(name), onValue: (/** @type {string} */ value) => setQuery({ [name]: value }) });
  const pick = (/** @type {any} */ event) => setQuery({ [event.currentTarget.name]: event.currentTarget.value });
  const time = (/** @type {any} */ event) => setQuery({ [event.currentTarget.name]: moment(event.currentTarget.value) });
  const clear = () => setQuery({ actor: null, action: null, outcome: null, subject: null, since: null, until: null });
  return html`<form class="filters roomy" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()} role="search" aria-label="Filter the records">
    <${Filter} label="Who" ...${typed("actor")} placeholder="name, exactly" />
    <${Choice} label="Action" name="action" options=${options("any", ACTIONS)} value=${at("action")} onChange=${pick} />
    <${Filter} label="On" ...${typed("subject")} placeholder="name, exactly" />
    <${Choice} label="Outcome" name="outcome" options=${options("any", OUTCOMES)} value=${at("outcome")} onChange=${pick} />
    <${Text} label="From" class="date" name="since" type="datetime-local" value=${localMinute(at("since"))} onChange=${time} />
    <${Text} label="Until" class="date" name="until" type="datetime-local" value=${localMinute(at("until"))} onChange=${time} />
    ${query.size > 0 && html`<div class="buttons"><button type="button" onClick=${clear}>Clear the filters</button></div>`}
  </form>`;
}

/**
 * The chain of hashes: what checking it found, and checking it against a head that was noted down.
 * @param {{act: Act, found: Signal<AuditCheck | null>, verify: (expect: string) => void}} props
 */
function Verify({ act, found, verify }) {
  const check = found.value;
  const submit = (/** @type {SubmitEvent} */ event) => verify(valuesOf(event).expect);
  return html`<section class="panel" aria-labelledby="verify">
    <h2 id="verify">Verify the record</h2>
    <div role="status">${act.busy.value && "Checking every record…"}${check && html`<p class=${check.ok ? "good" : "problem"}>${check.ok ? "✓ The record is whole" : `✗ The record is not whole${check.broken_at == null ? "" : `, from record ${check.broken_at} on`}`}: ${check.message}</p>`}</div>
    ${check?.head && html`<p>${check.ok ? "The head, to note down" : "The head as it is now"}</p><${Copy} text=${check.head} label="Copy the head" />`}
    <${ProblemNote} problem=${act.problem.value} />
    <p class="hint">Whoever could write the manager's files could write a whole new chain, too. Note the head down now and then, somewhere else, and give it here later.</p>
    <form onSubmit=${submit} class="verify">
      <${Text} label="A head that was noted down" name="expect" required placeholder="SEQ:HASH" pattern="[0-9]+:[0-9a-fA-F]+" />
      <div class="submit"><button type="submit" disabled=${act.busy.value}>Verify against it</button></div>
    </form>
  </section>`;
}
