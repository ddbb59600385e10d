// The tags of a service or of a machine, and changing them.

import { call } from "/lib/api.js";
import { html, useId, useRef, useSignal } from "/lib/html.js";
import { href } from "/lib/router.js";
import { can } from "/lib/store.js";
import { ProblemNote } from "/components/toast.js";
import { useAct } from "/views/parts/loading.js";

/** @import { Machine, Service } from "/lib/types.js" */

/** What a tag may be. */
const TAG = "[A-Za-z0-9._\\-]{1,64}";

/**
 * The tags of a service: its own can be changed, those of its machine are shown.
 * @param {{service: Service, machine: Machine | undefined}} props
 */
export function TagEditor({ service, machine }) {
  const agent = service.type === "agent";
  const inherited = new Set(machine?.tags ?? []);
  const own = (service.tags ?? []).filter((tag) => !inherited.has(tag));
  return html`<section class="panel" aria-labelledby="tags">
    <h2 id="tags">Tags</h2>
    ${agent && html`<p class="hint">An agent has the tags of its machine.</p>`}
    ${!agent && html`<${Tagging} tags=${own} of=${service.name} change=${(/** @type {object} */ tags) => ({ ...tags, services: [service.name] })} />`}
    ${inherited.size > 0 && html`<p class="inherited"><span class="quiet">${agent ? "" : "of its machine: "}</span>${[...inherited].map((tag) => html`<a key=${tag} class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a> `)}</p>`}
  </section>`;
}

/**
 * Tags with buttons to take them away, and a field to add one.
 * @param {{tags: string[], of: string, change: (tags: {add?: string[], remove?: string[]}) => object}} props
 */
export function Tagging({ tags, of, change }) {
  const act = useAct();
  const text = useSignal("");
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const id = useId();
  const said = useSignal("");
  const allowed = can("tag");
  const add = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const fresh = text.peek().split(/[\s,#]+/).filter(Boolean);
    if (!fresh.length) return;
    if (!(await act.run(() => call("POST", "/tags", change({ add: fresh }))))) return;
    text.value = "";
    said.value = `Added ${fresh.join(", ")}`;
  };
  const remove = async (/** @type {string} */ tag) => {
    if (!(await act.run(() => call("POST", "/tags", change({ remove: [tag] }))))) return;
    said.value = `Removed ${tag}`;
    // The button that had the focus is gone.
    input.current?.focus();
  };
  return html`<div class="tagging">
    ${tags.length > 0
      ? html`<ul class="tags" role="list" aria-label=${`Tags of ${of}`}>${tags.map((tag) => html`<li key=${tag}><a class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a>${allowed && html`<button type="button" class="icon" data-action="tag-remove" aria-label=${`Remove the tag ${tag} of ${of}`} disabled=${act.busy.value} onClick=${() => remove(tag)}>✕</button>`}</li>`)}</ul>`
      : html`<p class="quiet">No tags${allowed ? "." : ""}</p>`}
    ${allowed && html`<form onSubmit=${add} class="add-tag">
      <label for=${id} class="only-read">New tags of ${of}</label>
      <input id=${id} ref=${input} value=${text.value} onInput=${(/** @type {any} */ event) => (text.value = event.currentTarget.value)} placeholder="new tag" autocomplete="off" spellcheck=${false} pattern=${`[#\\s,]*${TAG}([\\s,#]+${TAG})*[\\s,]*`} title="Letters, digits, . _ -" maxlength="300" />
      <button type="submit" data-action="tag-add" disabled=${act.busy.value}>Add</button>
    </form>`}
    <${ProblemNote} problem=${act.problem.value} />
    <span class="only-read" role="status">${said.value}</span>
  </div>`;
}
