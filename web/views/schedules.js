// Schedules: commands that the clock gives.

import { nameOf } from "/lib/commands.js";
import { html } from "/lib/html.js";
import { href } from "/lib/router.js";
import { can } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { StepMark } from "/lib/steps.js";
import { Listing, Page, roughly, steps, Table } from "/views/parts/page.js";
import { useList } from "/views/parts/loading.js";

/** @import { Command, StepState } from "/lib/types.js" */
/** @typedef {{name: string, cron: string, timezone: string, command: Command, targets: string[], enabled: boolean, next_at: string|null, last_at: string|null, last_operation: string|null, last_result: StepState|null, running: boolean, missed: number, last_missed_at: string|null, last_missed: string|null}} Schedule */

export default function Schedules() {
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
