// A change of the configuration: shown as a diff before it counts.

import { call } from "/lib/api.js";
import { html } from "/lib/html.js";
import { confirm, toast } from "/components/dialog.js";

/** @typedef {{version: number, changed: boolean, diff: string, warnings: string[]}} Change */

/** The most lines of a diff that are shown. */
const MOST = 2000;

/** A unified diff; each line says by its sign, not by its colour alone, what it is. @param {{text: string}} props */
export function Diff({ text }) {
  const lines = text.replace(/\n$/, "").split("\n");
  const kind = (/** @type {string} */ line) => (/^(\+\+\+|---|@@)/.test(line) ? "quiet" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "");
  return html`<pre class="diff" tabindex="0" role="region" aria-label="What changes">${lines.slice(0, MOST).map((line) => html`<span class=${kind(line)}>${line || " "}\n</span>`)}${lines.length > MOST && html`<span class="quiet">… ${lines.length - MOST} more lines</span>`}</pre>`;
}

/** @param {{warnings: string[]|undefined}} props */
export const Warnings = ({ warnings = [] }) => warnings.length > 0 && html`<ul class="notes" aria-label="Warnings">${warnings.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`;

/**
 * Asks the manager what a change would do, shows it, and makes exactly that when it is confirmed. What is wrong is thrown.
 * @param {{title: string, action: string, method?: string, path: string, body?: object, danger?: boolean}} change
 * @returns {Promise<boolean>} whether it was made, or is so already
 */
export async function propose({ title, action, method = "POST", path, body = {}, danger }) {
  /** @type {Change} */
  const plan = await call(method, path, { ...body, dry_run: true });
  if (!plan.changed) {
    toast("That is so already: nothing would change.");
    return true;
  }
  const shown = html`<${Warnings} warnings=${plan.warnings} /><${Diff} text=${plan.diff} />`;
  if (!(await confirm({ title, body: shown, action, wide: true, danger }))) return false;
  /** @type {Change} */
  const made = await call(method, path, method === "PUT" ? { ...body, if_version: plan.version - 1 } : body);
  toast(`The configuration is version ${made.version} now.`, "good");
  return true;
}
