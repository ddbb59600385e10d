// The grid's configuration: its text, what is wrong with it, and every version there was.

import { call } from "/lib/api.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { can, onEvent, resets } from "/lib/store.js";
import { Time } from "/lib/time.js";
import { Copy } from "/components/copy.js";
import { ProblemNote, toast } from "/components/toast.js";
import { Diff, Warnings, propose } from "/views/config/diff.js";
import { Editor, mistakesOf } from "/views/config/editor.js";
import { History } from "/views/config/history.js";
import { useAct } from "/views/parts/loading.js";
import { Page } from "/views/parts/page.js";

/** @typedef {{version: number, at: string|null, actor: string|null, text: string}} Config */
/** @typedef {import("/views/config/diff.js").Change} Change */

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
    ${dirty && html`<button type="button" data-action="config-discard" onClick=${() => held.value && take(held.value)}>Discard changes</button>`}`;
  const about = version ? html`Version ${version}${at && html`, <${Time} at=${at} as="date" />`}${actor && ` by ${actor}`}` : "Nothing has been configured yet.";
  return html`<${Page} title="Configuration" about=${about} actions=${buttons} class="config">
    ${other.value && html`<div class="problem" role="alert" data-conflict>
      <p><b>${other.value.actor ?? "Somebody"} applied version ${other.value.version} meanwhile.</b> Yours is based on version ${version}, and would undo that.</p>
      <p class="buttons"><button type="button" onClick=${mine}>Compare mine with version ${other.value.version}</button> <button type="button" onClick=${() => other.value && take(other.value)}>Discard mine, show version ${other.value.version}</button></p>
    </div>`}
    <div role="status">${found.value && html`<p class="good" data-checked>✓ It can be applied${found.value.changed ? ":" : ", and changes nothing."}</p>`}</div>
    ${found.value && html`<${Warnings} warnings=${found.value.warnings} />${found.value.changed && html`<${Diff} text=${found.value.diff} />`}`}
    ${mistakes.length > 0
      ? html`<div class="problem" role="alert"><p><b>${mistakes.length === 1 ? "One mistake" : `${mistakes.length} mistakes`}: nothing of it was applied.</b></p>
          <ul class="mistakes">${mistakes.map(({ line, column, what }) => html`<li key=${`${line} ${column} ${what}`}>${line ? html`<button type="button" class="link" data-line=${line} onClick=${() => jump(line, column)}>line ${line}, column ${column}</button>: ` : ""}${what}</li>`)}</ul></div>`
      : !(other.value && problem?.status === 409) && html`<${ProblemNote} problem=${problem} />`}
    <${Editor} area=${area} text=${text.value} onEdit=${edit} readonly=${!admin} bad=${new Set(mistakes.map(({ line }) => line))} />
    ${!admin && html`<p class="hint">An admin changes it, here or with <code>tomcat-grid apply</code>.</p>`}
    <details class="elsewhere"><summary>From the command line</summary><${Copy} text="tomcat-grid export > grid.toml && tomcat-grid apply grid.toml --dry-run" /></details>
    <${History} version=${version} dirty=${dirty} onText=${(/** @type {string} */ next) => { edit(next); area.current?.scrollIntoView({ block: "center" }); toast("It is in the editor: check it, and apply it."); }} />
  <//>`;
}
