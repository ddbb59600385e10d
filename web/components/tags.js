// Asks which tags to add to instances, and which to take away.

import { call } from "/lib/api.js";
import { html, useEffect, useSignal } from "/lib/html.js";
import { ask, Dialog } from "/components/dialog.js";

/** @import { Service } from "/lib/types.js" */
/** @typedef {{add: string[], remove: string[]}} Change */

/** What a tag is written with. */
const TAG = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * @param {Service[]} instances
 * @param {number} agents how many agents are left out
 * @returns {Promise<Change|null>} null if it was not confirmed
 */
export const askTags = (instances, agents) => ask((answer) => html`<${Tags} instances=${instances} agents=${agents} answer=${answer} />`);

/** @param {{instances: Service[], agents: number, answer: (change: Change|null) => void}} props */
function Tags({ instances, agents, answer }) {
  const text = useSignal("");
  const remove = useSignal(/** @type {string[]} */ ([]));
  const known = useSignal(/** @type {string[]} */ ([]));
  useEffect(() => {
    call("GET", "/tags?limit=1000").then(
      (page) => {
        known.value = page.items.map((/** @type {any} */ item) => item.tag);
      },
      () => {},
    );
  }, []);
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { tags = [] } of instances) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const add = text.value.split(/[\s,]+/).filter(Boolean);
  const bad = add.filter((tag) => !TAG.test(tag));
  const toggle = (/** @type {string} */ tag) => {
    remove.value = remove.value.includes(tag) ? remove.value.filter((other) => other !== tag) : [...remove.value, tag];
  };
  const onSubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!bad.length) answer({ add, remove: remove.value });
  };
  const what = instances.length === 1 ? instances[0].name : `${instances.length} instances`;
  const box = (/** @type {[string, number]} */ [tag, count]) => html`<li key=${tag}>
    <label><input type="checkbox" checked=${remove.value.includes(tag)} onChange=${() => toggle(tag)} /> <span class="tag">${tag}</span>
    ${count < instances.length && html`<span class="quiet">on ${count} of ${instances.length}</span>`}</label>
  </li>`;
  const onInput = (/** @type {any} */ event) => {
    text.value = event.target.value;
  };
  return html`<${Dialog} title="Tags of ${what}" onClose=${() => answer(null)}>
    <form onSubmit=${onSubmit}>
      <div class="body">
        ${agents > 0 && html`<p class="note">${agents === 1 ? "One agent is left out" : `${agents} agents are left out`}: an agent has the tags of its machine.</p>`}
        <label class="field">Add <input value=${text} onInput=${onInput} list="known-tags" autocomplete="off" autocapitalize="none" data-first placeholder="prod, canary" /></label>
        <datalist id="known-tags">${known.value.map((tag) => html`<option key=${tag} value=${tag} />`)}</datalist>
        ${bad.length > 0 && html`<p class="problem" role="alert">“${bad[0]}” is no tag: a tag has letters, digits, “.”, “_” and “-”, at most 64.</p>`}
        ${counts.size > 0 && html`<fieldset><legend>Take away</legend><ul class="boxes">${[...counts].sort().map(box)}</ul></fieldset>
          <p class="note">Tags that come from the machine stay; change them there.</p>`}
      </div>
      <footer>
        <button type="button" onClick=${() => answer(null)}>Cancel</button>
        <button type="submit" class="primary" disabled=${bad.length > 0 || !(add.length + remove.value.length) || !instances.length} data-confirm>Change tags</button>
      </footer>
    </form>
  <//>`;
}
