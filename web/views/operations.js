// Operations: what is carried out now, and what was; and the page of one.

import { COMMANDS, nameOf } from "/lib/commands.js";
import { many } from "/lib/actions.js";
import { html } from "/lib/html.js";
import { underWay } from "/lib/operations.js";
import { href, route, setQuery } from "/lib/router.js";
import { took } from "/lib/steps.js";
import { Time, now } from "/lib/time.js";
import { StepMark, stateOf } from "/components/step.js";
import OperationPage from "/views/operation/page.js";
import { Choice, Filter } from "/views/parts/form.js";
import { useList } from "/views/parts/loading.js";
import { Page } from "/views/parts/page.js";
import { Listing, Table } from "/views/parts/table.js";

/** @import { Operation } from "/lib/types.js" */

/** @type {[string, string][]} */
const STATES = [["", "any"], ["running", "running"], ["cancelling", "cancelling"], ["interrupted", "interrupted"], ["ended", "ended"]];

export default function Operations() {
  const id = route.value.path[1];
  return id ? html`<${OperationPage} key=${id} id=${id} />` : html`<${All} />`;
}

function All() {
  const { query } = route.value;
  const at = (/** @type {string} */ key) => query.get(key) ?? "";
  const asked = new URLSearchParams({ limit: "100" });
  for (const key of ["state", "actor", "service"]) if (at(key)) asked.set(key, at(key));
  const list = /** @type {import("/views/parts/loading.js").List<Operation>} */ (useList(`/operations?${asked}`, /^operation\.state$/));
  const live = underWay.value;
  const rank = (/** @type {Operation} */ { state }) => (state === "ended" ? 1 : 0);
  const rows = list.items.value.map((one) => (one.state === "ended" ? one : (live.get(one.id) ?? one))).sort((a, b) => rank(a) - rank(b));
  const typed = (/** @type {string} */ name) => ({ name, value: at(name), onValue: (/** @type {string} */ value) => setQuery({ [name]: value }) });
  return html`<${Page} title="Operations" about="Commands that wait until they are done: ${COMMANDS.map(({ name }) => name.toLowerCase()).join(", ")}.">
    <form class="filters" role="search" aria-label="Filter the operations" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <${Choice} label="State" name="state" options=${STATES} value=${at("state")} onChange=${(/** @type {any} */ event) => setQuery({ state: event.currentTarget.value })} />
      <${Filter} label="Who" ...${typed("actor")} placeholder="name, exactly" />
      <${Filter} label="Service" ...${typed("service")} placeholder="name, exactly" />
      ${query.size > 0 && html`<div class="buttons"><button type="button" onClick=${() => setQuery({ state: null, actor: null, service: null })}>Clear the filters</button></div>`}
    </form>
    <${Listing} list=${list} what="operations" filtered empty=${query.size ? "No operation matches these filters." : "No operation yet. Select services in the grid, and start, stop or restart them."}>
      <${Table} caption="Operations, those under way first" rows=${rows} keyOf=${(/** @type {Operation} */ one) => one.id} columns=${COLUMNS} rowProps=${(/** @type {Operation} */ one) => ({ "data-operation": one.id, "data-state": one.state })} />
    <//>
  <//>`;
}

/** The most targets that are named. */
const NAMED = 3;

/** @type {import("/views/parts/table.js").Column<Operation>[]} */
const COLUMNS = [
  {
    label: "Operation",
    head: true,
    cell: ({ id, command, targets }) => html`<a class="name" href=${href(`/operations/${id}`)}>${nameOf(command)} ${targets.slice(0, NAMED).join(", ")}${targets.length > NAMED && ` and ${targets.length - NAMED} more`}</a>`,
  },
  { label: "State", cell: (one) => html`<${StepMark} state=${stateOf(one)} />` },
  { label: "Services", cell: ({ services: counts }) => progress(counts) },
  { label: "Who", cell: ({ actor }) => actor },
  { label: "Begun", cell: ({ created_at: at }) => html`<span><${Time} at=${at} suffix=" ago" /> <span class="quiet">(<${Time} at=${at} as="date" />)</span></span>` },
  { label: "Took", cell: (one) => html`<${Took} from=${one.created_at} to=${one.ended_at} />` },
];

/** @param {Operation["services"]} counts */
function progress({ total, done, ignored, failed, skipped }) {
  const bad = [failed && `${failed} not done`, skipped && `${skipped} not begun`].filter(Boolean).join(", ");
  return html`<span>${done + ignored} of ${many(total, "service")}${bad && html`, <span class=${failed ? "bad" : ""}>${bad}</span>`}</span>`;
}

/** How long something took, or takes. @param {{from: string, to: string|null}} props */
function Took({ from, to }) {
  return html`<span class="took">${took((to ? Date.parse(to) : now.value) - Date.parse(from))}</span>`;
}
