// What can be done with a machine: tags, revoking its agent, removing it.

import { call } from "/lib/api.js";
import { html, useSignal } from "/lib/html.js";
import { can } from "/lib/store.js";
import { Dialog, confirm } from "/components/dialog.js";
import { ProblemNote, toast } from "/components/toast.js";
import { useAct } from "/views/parts/loading.js";
import { focusHeading } from "/views/parts/page.js";
import { instancesOf } from "/views/machines/counts.js";
import { Tagging } from "/views/service/tags.js";

/** @import { Machine } from "/lib/types.js" */

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
