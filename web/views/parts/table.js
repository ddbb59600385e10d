// Tables that become cards where there is no room for columns.

import { html } from "/lib/html.js";
import { ProblemNote } from "/components/toast.js";

/**
 * A column.
 * @template T
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: T) => any} cell
 * @property {boolean} [head] whether it names the row
 * @property {string} [class]
 * @property {boolean} [quiet] whether cards show it without its label
 */

/**
 * A table. The roles are written out, because some browsers forget them when tables are laid out as cards.
 * @template T
 * @param {{caption: string, columns: Column<T>[], rows: T[], keyOf: (row: T) => string, rowProps?: (row: T) => object}} props
 */
export function Table({ caption, columns, rows, keyOf, rowProps = () => ({}) }) {
  return html`<table class="sheet" role="table">
    <caption class="only-read">${caption}</caption>
    <thead role="rowgroup">
      <tr role="row">${columns.map((column) => html`<th key=${column.label} scope="col" role="columnheader" class=${column.class}>${column.label}</th>`)}</tr>
    </thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr key=${keyOf(row)} role="row" ...${rowProps(row)}>${columns.map((column) => cell(column, row))}</tr>`)}</tbody>
  </table>`;
}

/**
 * @template T
 * @param {Column<T>} column
 * @param {T} row
 */
function cell(column, row) {
  const content = column.cell(row);
  const empty = content === null || content === undefined || content === "" || content === false;
  const classes = [column.class, empty ? "blank" : ""].filter(Boolean).join(" ") || undefined;
  const label = column.quiet || column.head ? undefined : column.label;
  return column.head
    ? html`<th key=${column.label} scope="row" role="rowheader" class=${classes}>${content}</th>`
    : html`<td key=${column.label} role="cell" class=${classes} data-label=${label}><div>${content}</div></td>`;
}

/**
 * What stands around a list: its problem, that it is loading, that there is nothing, the way to more.
 * @param {{list: import("/views/parts/loading.js").List<any>, empty: any, children: any, what: string, filtered?: boolean}} props
 *   `filtered`: whether the view has filters to narrow the list with
 */
export function Listing({ list, empty, children, what, filtered = false }) {
  const { items, next, full, busy, loaded, problem } = list;
  return html`
    ${problem.value && html`<${ProblemNote} problem=${problem.value} /><p><button type="button" onClick=${list.reload}>Try again</button></p>`}
    ${!loaded.value && busy.value && html`<p class="quiet" role="status">Loading ${what}…</p>`}
    ${loaded.value && (items.value.length ? children : html`<p class="nothing">${next.value ? `No ${what} in the part that was searched.` : empty}</p>`)}
    ${loaded.value && next.value && html`<p class="more"><button type="button" disabled=${busy.value} onClick=${list.more}>${busy.value ? "Loading…" : `Show more ${what}`}</button></p>`}
    ${loaded.value && full.value && html`<p class="more quiet" role="status">The first ${items.value.length.toLocaleString("en")} ${what} are shown, and there are more.${filtered && " Narrow them with the filters."}</p>`}
  `;
}
