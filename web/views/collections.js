// Collections: a tree with the states of what is in them, and the page of one.

import { many } from "/lib/actions.js";
import { html, useRef, useSignal } from "/lib/html.js";
import { go, href, route } from "/lib/router.js";
import { term } from "/lib/search.js";
import { budgetText, ordering } from "/lib/steps.js";
import { can, services } from "/lib/store.js";
import { Commands } from "/components/menu.js";
import { ProblemNote } from "/components/dialog.js";
import { Shape, WORST_FIRST, shownState, stateWord } from "/components/state.js";
import { propose } from "/views/config.js";
import { Choice, Listing, Page, ServiceLink, StateOf, Submit, Text, useFirstField, valuesOf } from "/views/parts/page.js";
import { useAct, useList } from "/views/parts/loading.js";

/** @import { Collection } from "/lib/types.js" */
/** @typedef {Map<string, Collection>} Known */

/** How deep the tree is drawn. */
const DEEP = 12;

export default function Collections() {
  const name = route.value.path[1];
  const list = /** @type {import("/views/parts/loading.js").List<Collection>} */ (useList("/collections?limit=1000", /^(config\.|service\.gone)/));
  const known = new Map(list.items.value.map((one) => [one.name, one]));
  if (name) return html`<${One} key=${name} name=${name} known=${known} list=${list} />`;
  return html`<${Tree} known=${known} list=${list} />`;
}

/** @param {{known: Known, list: any}} props */
function Tree({ known, list }) {
  const adding = useSignal(false);
  const inner = new Set([...known.values()].flatMap((one) => one.members));
  const roots = [...known.values()].filter((one) => !inner.has(one.name));
  const button = can("configure") && html`<button type="button" class="primary" data-open aria-expanded=${adding.value} onClick=${() => (adding.value = !adding.value)}>Add a collection…</button>`;
  return html`<${Page} title="Collections" about="Services that are worked on together, in an order of their own." actions=${button}>
    ${adding.value && html`<${Editor} known=${known} onDone=${() => { adding.value = false; list.reload(); }} />`}
    <${Listing} list=${list} what="collections" empty="No collections. They stand in the configuration, and an admin adds them here.">
      <ul class="collections" role="list">${roots.map((one) => html`<${Branch} key=${one.name} name=${one.name} known=${known} depth=${0} />`)}</ul>
    <//>
  <//>`;
}

/** The services in a collection, at any depth, by what is known of them now. @param {string} name */
const inside = (name) => [...services.value.values()].map((held) => held.value).filter((service) => service.collections?.includes(name));

/** How many of its services are in each state. @param {{name: string}} props */
function RollUp({ name }) {
  const all = inside(name);
  const of = (/** @type {string} */ state) => all.filter((service) => shownState(service) === state).length;
  if (!all.length) return html`<span class="quiet">no service is there</span>`;
  return html`<a class="roll-up" href=${href("/", { q: term("in", name) })}><span class="quiet">${many(all.length, "service")}</span>
    ${WORST_FIRST.filter(of).map((state) => html`<span key=${state} class=${`s-${state}`}><${Shape} state=${state} />${of(state)} ${stateWord(state)}</span>`)}</a>`;
}

/** @param {{name: string, known: Known, depth: number}} props */
function Branch({ name, known, depth }) {
  const one = known.get(name);
  const open = useSignal(depth === 0 && known.size < 8);
  if (!one) return html`<li class="leaf">${services.value.has(name) ? html`<${ServiceLink} name=${name} /> <${StateOf} name=${name} />` : html`<span>${name}</span> <span class="lost">not in the grid now</span>`}</li>`;
  return html`<li data-collection=${name}>
    <div class="branch">
      <button type="button" class="icon fold" aria-expanded=${open.value} aria-label=${`Members of ${name}`} onClick=${() => (open.value = !open.value)}>${open.value ? "▾" : "▸"}</button>
      <a class="name" href=${href(`/collections/${name}`)}>${name}</a>
      <${RollUp} name=${name} />
      <span class="about">${ordering({ ...one, failure_budget: undefined })}</span>
      ${can("trigger") && html`<${Commands} targets=${[name]} quiet triggers=${false} />`}
    </div>
    ${open.value && depth < DEEP && html`<ul role="list">${one.members.map((member) => html`<${Branch} key=${member} name=${member} known=${known} depth=${depth + 1} />`)}</ul>`}
  </li>`;
}

/** @param {{name: string, known: Known, list: any}} props */
function One({ name, known, list }) {
  const editing = useSignal(false);
  const act = useAct();
  const one = known.get(name);
  if (!one) {
    if (!list.loaded.value) return html`<p role="status">Loading…</p>`;
    return html`<${Page} title="No such collection"><p>There is no collection called <b>${name}</b>.</p><p><a href=${href("/collections")}>All collections</a></p><//>`;
  }
  const above = [...known.values()].filter((other) => other.members.includes(name)).map((other) => other.name);
  const remove = async () => {
    await act.run(async () => {
      if (await propose({ title: `Remove the collection ${name}? Its services stay.`, action: "Remove", method: "DELETE", path: `/collections/${encodeURIComponent(name)}`, danger: true })) go("/collections");
    });
  };
  const budget = budgetText(one.failure_budget);
  return html`<${Page} title=${name} about=${html`Collection${above.length > 0 && html`, in ${above.map((other, at) => html`${at > 0 && ", "}<a href=${href(`/collections/${other}`)}>${other}</a>`)}`} · <a href=${href("/collections")}>All collections</a>`}
    actions=${html`${can("trigger") && html`<${Commands} targets=${[name]} triggers=${false} />`}
      ${can("configure") && html`<button type="button" data-action="collection-edit" aria-expanded=${editing.value} onClick=${() => (editing.value = !editing.value)}>Edit…</button>
      <button type="button" data-action="collection-remove" class="danger-text" onClick=${remove}>Remove…</button>`}`}>
    <${ProblemNote} problem=${act.problem.value} />
    <p class="collection-state"><${RollUp} name=${name} /></p>
    <p>Members are worked on ${ordering({ ...one, failure_budget: undefined })}${budget && `; at most ${budget} of its services may fail`}.</p>
    ${editing.value
      ? html`<${Editor} key=${JSON.stringify(one)} one=${one} known=${known} onDone=${() => { editing.value = false; list.reload(); }} />`
      : html`<ol class="collections" aria-label="Members, in order">${one.members.map((member) => html`<${Branch} key=${member} name=${member} known=${known} depth=${1} />`)}</ol>
        ${!one.members.length && html`<p class="nothing">It has no members.</p>`}`}
  <//>`;
}

// What follows makes or changes one: members and their order, by mouse or by keys.

/** How a failure budget may be written. */
const BUDGET = "[0-9]+%?";

/** @param {{one?: Collection, known: Map<string, Collection>, onDone: () => void}} props */
function Editor({ one, known, onDone }) {
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
