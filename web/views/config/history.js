// Every version of the configuration: who made it, what it changed, and the way back.

import { call } from "/lib/api.js";
import { html, useSignal } from "/lib/html.js";
import { can } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { ProblemNote } from "/components/toast.js";
import { Diff, propose } from "/views/config/diff.js";
import { useAct, useList } from "/views/parts/loading.js";
import { Listing, Table } from "/views/parts/table.js";

/** @typedef {{version: number, at: string, actor: string, cause: string|null}} Version */

/** @param {{version: number, dirty: boolean, onText: (text: string) => void}} props */
export function History({ version, dirty, onText }) {
  const list = /** @type {import("/views/parts/loading.js").List<Version>} */ (useList("/config/history?limit=50", /^config\./));
  const shown = useSignal(/** @type {{version: number, diff: string}|null} */ (null));
  const act = useAct();
  const path = (/** @type {number} */ number) => `/config/history/${number}`;
  const compare = (/** @type {number} */ number) =>
    act.run(async () => {
      if (shown.peek()?.version === number) {
        shown.value = null;
        return;
      }
      const { text } = await call("GET", path(number));
      shown.value = { version: number, diff: (await call("POST", "/config/diff", { text })).diff };
    });
  const edit = (/** @type {number} */ number) => act.run(async () => onText((await call("GET", path(number))).text));
  const restore = (/** @type {number} */ number) =>
    act.run(() => propose({ title: `Restore version ${number}?`, action: "Restore", path: "/config/restore", body: { version: number } }));
  /** @type {import("/views/parts/table.js").Column<Version>[]} */
  const columns = [
    { label: "Version", head: true, class: "number", cell: (one) => html`${one.version}${one.version === version && html` <span class="quiet">in force</span>`}` },
    { label: "When", class: "when", cell: (one) => html`<${Time} at=${one.at} as="date" />` },
    { label: "Who", cell: (one) => one.actor },
    { label: "Cause", cell: (one) => one.cause },
    {
      label: "Actions",
      quiet: true,
      class: "actions",
      cell: (one) => one.version !== version && html`<div class="row-actions">
        <button type="button" data-compare=${one.version} aria-expanded=${shown.value?.version === one.version} aria-label=${`Compare the present one with version ${one.version}`} onClick=${() => compare(one.version)}>Compare</button>
        ${can("configure") && html`<button type="button" disabled=${dirty} title=${dirty ? "Apply or discard what is in the editor first" : undefined} data-restore=${one.version} aria-label=${`Restore version ${one.version}`} onClick=${() => restore(one.version)}>Restore…</button>
          <button type="button" disabled=${dirty} aria-label=${`Edit version ${one.version}`} onClick=${() => edit(one.version)}>Edit it</button>`}
      </div>
      ${shown.value?.version === one.version && html`<div class="compared"><p class="quiet">What restoring version ${one.version} would change:</p>${shown.value.diff ? html`<${Diff} text=${shown.value.diff} />` : html`<p>Nothing: the texts are the same.</p>`}</div>`}`,
    },
  ];
  return html`<section aria-labelledby="history" class="versions"><h2 id="history">History</h2>
    <${ProblemNote} problem=${act.problem.value} />
    <${Listing} list=${list} what="versions" empty="No version yet.">
      <${Table} caption="Versions, newest first" rows=${list.items.value} keyOf=${(/** @type {Version} */ one) => String(one.version)} columns=${columns} rowProps=${(/** @type {Version} */ one) => ({ "data-version": one.version })} />
    <//></section>`;
}
