// The grid's configuration: its text, what is wrong with it, and every version there was.

import { many } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { can, onEvent, resets } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { confirm, ProblemNote, toast } from "/components/dialog.js";
import { useAct, useList } from "/views/parts/loading.js";
import { Listing, Page, Table } from "/views/parts/page.js";

/** @typedef {{version: number, at: string|null, actor: string|null, text: string}} Config */
/** @typedef {{line: number, column: number, what: string}} Mistake */
/** @typedef {{version: number, at: string, actor: string, cause: string|null}} Version */

export default function Configuration() {
  const held = useSignal(/** @type {Config|null} */ (null));
  const text = useSignal("");
  const found = useSignal(/** @type {Change|null} */ (null));
  /** The version that somebody else made meanwhile. */
  const other = useSignal(/** @type {Config|null} */ (null));
  const act = useAct();
  const area = useRef(/** @type {HTMLTextAreaElement|null} */ (null));
  const admin = can("configure");
  const dirty = held.value !== null && text.value !== held.value.text;

  const take = (/** @type {Config} */ next) => {
    held.value = next;
    text.value = next.text;
    found.value = null;
    other.value = null;
    act.problem.value = null;
  };
  const look = () =>
    call("GET", "/config").then(
      (next) => {
        const known = held.peek();
        if (known && text.peek() !== known.text && next.version !== known.version) other.value = next;
        else if (!known || next.version !== known.version) take(next);
      },
      (problem) => {
        if (!held.peek()) act.problem.value = problem;
      },
    );
  useEffect(() => {
    look();
    const before = resets.peek();
    const forget = resets.subscribe((times) => {
      if (times !== before) look();
    });
    const deaf = onEvent((event) => {
      if (event.kind === "config.applied") look();
    });
    return () => {
      forget();
      deaf();
    };
  }, []);
  useEffect(() => {
    if (!dirty) return undefined;
    // What was written is not lost by a closed tab.
    const stay = (/** @type {BeforeUnloadEvent} */ event) => event.preventDefault();
    addEventListener("beforeunload", stay);
    return () => removeEventListener("beforeunload", stay);
  }, [dirty]);

  const edit = (/** @type {string} */ next) => {
    text.value = next;
    found.value = null;
    act.problem.value = null;
  };
  const check = () =>
    act.run(async () => {
      found.value = await call("POST", "/config", { text: text.peek(), dry_run: true });
    });
  const apply = () =>
    act.run(async () => {
      const body = { text: text.peek(), if_version: held.peek()?.version };
      if (await propose({ title: "Apply this configuration?", action: "Apply", path: "/config", body })) take(await call("GET", "/config"));
    }).then((well) => {
      if (!well && act.problem.peek()?.status === 409) look();
    });
  const mine = () => {
    // What is written is kept, and compared with the newer one from now on.
    held.value = other.peek();
    other.value = null;
    act.problem.value = null;
    check();
  };
  if (!held.value) return html`<${Page} title="Configuration">${act.problem.value ? html`<${ProblemNote} problem=${act.problem.value} />` : html`<p role="status">Loading…</p>`}<//>`;
  const { version, at, actor } = held.value;
  const problem = act.problem.value;
  const mistakes = problem?.status === 400 ? mistakesOf(problem.message) : [];
  const jump = (/** @type {number} */ line, /** @type {number} */ column) => {
    const box = area.current;
    if (!box) return;
    const lines = box.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    box.focus();
    box.setSelectionRange(start, Math.min(start + 1, box.value.length));
    box.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(box).lineHeight));
  };
  const buttons = admin && html`
    <button type="button" data-action="config-check" disabled=${act.busy.value || !dirty} onClick=${check}>Check</button>
    <button type="button" data-action="config-apply" class="primary" disabled=${act.busy.value || !dirty || other.value !== null} onClick=${apply}>Apply…</button>
    ${dirty && html`<button type="button" data-action="config-discard" onClick=${() => held.value && take(other.value ?? held.value)}>Discard changes</button>`}`;
  const about = version ? html`Version ${version}${at && html`, <${Time} at=${at} as="date" />`}${actor && ` by ${actor}`}` : "Nothing has been configured yet.";
  return html`<${Page} title="Configuration" about=${about} actions=${buttons} class="config">
    ${other.value && html`<div class="problem" role="alert" data-conflict>
      <p><b>${other.value.actor ?? "Somebody"} applied version ${other.value.version} meanwhile.</b> Yours is based on version ${version}, and would undo that.</p>
      <p class="buttons"><button type="button" onClick=${mine}>Compare mine with version ${other.value.version}</button> <button type="button" onClick=${() => other.value && take(other.value)}>Discard mine, show version ${other.value.version}</button></p>
    </div>`}
    <div role="status">${found.value && html`<p class="good" data-checked>✓ It can be applied${found.value.changed ? ":" : ", and changes nothing."}</p>`}</div>
    ${found.value && html`<${Warnings} warnings=${found.value.warnings} />${found.value.changed && html`<${Diff} text=${found.value.diff} />`}`}
    ${mistakes.length > 0
      ? html`<div class="problem" role="alert"><p><b>${many(mistakes.length, "mistake")}</b></p>
          <ul class="mistakes">${mistakes.map(({ line, column, what }) => html`<li key=${`${line} ${column} ${what}`}>${line ? html`<button type="button" class="link" data-line=${line} onClick=${() => jump(line, column)}>line ${line}, column ${column}</button>: ` : ""}${what}</li>`)}</ul></div>`
      : !(other.value && problem?.status === 409) && html`<${ProblemNote} problem=${problem} />`}
    <${Editor} area=${area} text=${text.value} onEdit=${edit} readonly=${!admin} bad=${new Set(mistakes.map(({ line }) => line))} />
    ${!admin && html`<p class="hint">An admin changes it, here or with <code>tomcat-grid apply</code>.</p>`}
    <${History} version=${version} dirty=${dirty} />
  <//>`;
}

/**
 * The mistakes that an answer lists, one a line: `line L, column C: what`.
 * @param {string} text
 * @returns {Mistake[]}
 */
function mistakesOf(text) {
  return text.split("\n").filter(Boolean).map((one) => {
    const found = /^line (\d+), column (\d+): (.*)$/.exec(one.trim());
    return found ? { line: Number(found[1]), column: Number(found[2]), what: found[3] } : { line: 0, column: 0, what: one };
  });
}

/** @param {{area: {current: HTMLTextAreaElement|null}, text: string, onEdit: (text: string) => void, readonly: boolean, bad: Set<number>}} props */
function Editor({ area, text, onEdit, readonly, bad }) {
  const numbers = useRef(/** @type {HTMLElement|null} */ (null));
  const count = text.split("\n").length;
  const onScroll = (/** @type {any} */ event) => {
    if (numbers.current) numbers.current.style.transform = `translateY(${-event.target.scrollTop}px)`;
  };
  return html`<div class="editor">
    <div class="numbers" aria-hidden="true"><div ref=${numbers}>${Array.from({ length: count }, (_, at) => html`<span key=${at} class=${bad.has(at + 1) ? "bad" : ""}>${at + 1}</span>`)}</div></div>
    <textarea ref=${area} aria-label="The grid's configuration, as TOML" name="text" wrap="off" spellcheck=${false} autocapitalize="none" autocomplete="off" readonly=${readonly} rows=${Math.min(36, Math.max(12, count + 1))}
      placeholder=${'[defaults]\nstop_timeout = "60s"\n\n[collection.front]\nmode = "sequential"\nmembers = ["shop-a@web-1"]'} value=${text} onInput=${(/** @type {any} */ event) => onEdit(event.target.value)} onScroll=${onScroll}></textarea>
  </div>`;
}

/** @param {{version: number, dirty: boolean}} props */
function History({ version, dirty }) {
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
  const restore = (/** @type {number} */ number) =>
    act.run(() => propose({ title: `Restore version ${number}?`, action: "Restore", path: "/config/restore", body: { version: number } }));
  /** @type {import("/views/parts/page.js").Column<Version>[]} */
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
        ${can("configure") && html`<button type="button" disabled=${dirty} data-restore=${one.version} aria-label=${`Restore version ${one.version}`} onClick=${() => restore(one.version)}>Restore…</button>`}
      </div>`,
    },
  ];
  return html`<section aria-labelledby="history"><h2 id="history">History</h2>
    ${dirty && html`<p class="hint">Apply or discard what is in the editor before you restore a version.</p>`}
    <${ProblemNote} problem=${act.problem.value} />
    ${shown.value && html`<p>What restoring version ${shown.value.version} would change:</p>${shown.value.diff ? html`<${Diff} text=${shown.value.diff} />` : html`<p>Nothing: the texts are the same.</p>`}`}
    <${Listing} list=${list} what="versions" empty="No version yet.">
      <${Table} caption="Versions, newest first" rows=${list.items.value} keyOf=${(/** @type {Version} */ one) => String(one.version)} columns=${columns} rowProps=${(/** @type {Version} */ one) => ({ "data-version": one.version })} />
    <//></section>`;
}

// A change of the configuration: shown as a diff before it counts.

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
  const ask = (/** @type {any} */ more) => (method === "DELETE" ? call(method, `${path}?${new URLSearchParams(more)}`) : call(method, path, { ...body, ...more }));
  /** @type {Change} */
  const plan = await ask({ dry_run: true });
  if (!plan.changed) {
    toast("That is so already: nothing would change.");
    return true;
  }
  const shown = html`<${Warnings} warnings=${plan.warnings} /><${Diff} text=${plan.diff} />`;
  if (!(await confirm({ title, body: shown, action, wide: true, danger }))) return false;
  /** @type {Change} */
  const made = await ask(method === "POST" ? {} : { if_version: plan.version - 1 });
  toast(`The configuration is version ${made.version} now.`, "good");
  return true;
}
