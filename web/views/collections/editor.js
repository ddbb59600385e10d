// Makes or changes a collection: its members and their order, by mouse or by keys. What changes is shown before it counts.

import { html, useRef, useSignal } from "/lib/html.js";
import { budgetText } from "/lib/steps.js";
import { services } from "/lib/store.js";
import { Choice, Submit, Text, useFirstField, valuesOf } from "/views/parts/form.js";
import { useAct } from "/views/parts/loading.js";
import { propose } from "/views/config/diff.js";

/** @import { Collection } from "/lib/types.js" */

/** How a failure budget may be written. */
const BUDGET = "[0-9]+%?";

/** @param {{one?: Collection, known: Map<string, Collection>, onDone: () => void}} props */
export function Editor({ one, known, onDone }) {
  const act = useAct();
  const form = useFirstField();
  const members = useSignal(one?.members ?? []);
  const mode = useSignal(/** @type {string} */ (one?.mode ?? "sequential"));
  const fresh = useSignal("");
  const said = useSignal("");
  const dragged = useSignal("");
  const list = useRef(/** @type {HTMLElement|null} */ (null));
  const add = () => {
    const names = fresh.peek().split(/[\s,]+/).filter((name) => name && !members.peek().includes(name));
    if (!names.length) return;
    members.value = [...members.peek(), ...names];
    fresh.value = "";
    said.value = `${names.join(", ")} added`;
  };
  const move = (/** @type {string} */ name, /** @type {number} */ to, focus = "") => {
    const others = members.peek().filter((other) => other !== name);
    if (to < 0 || to > others.length) return;
    members.value = others.toSpliced(to, 0, name);
    said.value = `${name} is number ${to + 1} of ${others.length + 1}`;
    // The button that was pressed keeps the focus where it went.
    if (focus) requestAnimationFrame(() => /** @type {HTMLElement|null} */ (list.current?.querySelector(`[data-member="${CSS.escape(name)}"] [data-move=${focus}]`))?.focus());
  };
  const drop = (/** @type {string} */ name) => {
    members.value = members.peek().filter((other) => other !== name);
    said.value = `${name} removed`;
    /** @type {HTMLElement|null|undefined} */ (form.current?.querySelector("[name=member]"))?.focus();
  };
  const submit = (/** @type {SubmitEvent} */ event) => {
    const values = valuesOf(event);
    add();
    const name = one?.name ?? values.name;
    const budget = values.budget;
    const body = {
      mode: mode.peek(),
      max_parallel: mode.peek() === "parallel" && values.max ? Number(values.max) : null,
      on_failure: values.failure,
      failure_budget: !budget ? null : budget.endsWith("%") ? { percent: parseInt(budget, 10) } : { count: Number(budget) },
      members: members.peek(),
    };
    act.run(async () => {
      if (await propose({ title: one ? `Change the collection ${name}?` : `Add the collection ${name}?`, action: one ? "Change" : "Add", method: "PUT", path: `/collections/${encodeURIComponent(name)}`, body })) onDone();
    });
  };
  const item = (/** @type {string} */ name, /** @type {number} */ at) => html`<li key=${name} data-member=${name} draggable="true" class=${dragged.value === name ? "dragged" : ""}
      onDragStart=${(/** @type {DragEvent} */ event) => { dragged.value = name; event.dataTransfer?.setData("text/plain", name); }} onDragEnd=${() => (dragged.value = "")}
      onDragOver=${(/** @type {DragEvent} */ event) => { if (!dragged.peek()) return; event.preventDefault(); if (dragged.peek() !== name) move(dragged.peek(), at); }} onDrop=${(/** @type {Event} */ event) => event.preventDefault()}>
    <span class="grip" aria-hidden="true">⠿</span><span class="number quiet">${at + 1}.</span> <span class="name">${name}</span> <span class="quiet">${known.has(name) ? "collection" : services.value.has(name) ? "" : "not in the grid now"}</span>
    <span class="moves">
      <button type="button" class="icon" data-move="up" aria-label=${`Move ${name} up`} disabled=${at === 0} onClick=${() => move(name, at - 1, at === 1 ? "down" : "up")}>↑</button>
      <button type="button" class="icon" data-move="down" aria-label=${`Move ${name} down`} disabled=${at === members.value.length - 1} onClick=${() => move(name, at + 1, at === members.value.length - 2 ? "up" : "down")}>↓</button>
      <button type="button" class="icon" data-move="out" aria-label=${`Remove ${name}`} onClick=${() => drop(name)}>✕</button>
    </span></li>`;
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || !fresh.peek().trim()) return;
    event.preventDefault();
    add();
  };
  return html`<form class="panel" ref=${form} onSubmit=${submit} aria-label=${one ? `Change ${one.name}` : "Add a collection"} data-editor>
    <div class="fields">
      ${!one && html`<${Text} label="Name" name="name" required maxlength="64" />`}
      <${Choice} label="Order" name="mode" value=${mode.value} options=${[["sequential", "one after the other"], ["parallel", "at the same time"]]} onChange=${(/** @type {any} */ event) => (mode.value = event.target.value)} />
      ${mode.value === "parallel" && html`<${Text} label="At most at a time" name="max" type="number" min="1" max="10000" placeholder="all" value=${one?.max_parallel ?? ""} />`}
      <${Choice} label="At the first failure" name="failure" value=${one?.on_failure ?? "stop"} options=${[["stop", "begin no other"], ["continue", "go on"]]} />
      <${Text} label="May fail" name="budget" pattern=${BUDGET} placeholder="no limit" value=${budgetText(one?.failure_budget ?? null)} hint="A number of services, or a share such as 10%. More, and no other is begun." />
    </div>
    <h3 id="members">Members, in order</h3>
    ${members.value.length > 0 ? html`<ol class="members" ref=${list} aria-labelledby="members">${members.value.map(item)}</ol>` : html`<p class="quiet">None yet.</p>`}
    <div class="add-tag"><input name="member" aria-label="Add a service or a collection" placeholder="service or collection" list="all-members" autocomplete="off" autocapitalize="none" spellcheck=${false} value=${fresh} onInput=${(/** @type {any} */ event) => (fresh.value = event.target.value)} onKeyDown=${onKey} /> <button type="button" data-add onClick=${add}>Add</button></div>
    <datalist id="all-members">${[...known.keys(), ...services.value.keys()].filter((name) => name !== one?.name && !members.value.includes(name) && !name.startsWith("agent@")).map((name) => html`<option key=${name} value=${name} />`)}</datalist>
    <p class="hidden" role="status">${said}</p>
    <${Submit} act=${act} label="Show what changes…"><button type="button" onClick=${onDone}>Cancel</button><//>
  </form>`;
}
