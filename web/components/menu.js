// A button that opens a small menu below it.

import { asking, trigger, VERBS } from "/lib/actions.js";
import { begin, COMMANDS } from "/lib/commands.js";
import { html, useEffect, useId, useRef, useSignal } from "/lib/html.js";
import { live, services } from "/lib/store.js";

/** @import { Action, Command } from "/lib/types.js" */

/** @typedef {{label: any, run?: () => void, href?: string, checked?: boolean, id?: string, danger?: boolean, current?: boolean, action?: string, first?: boolean, disabled?: boolean}} Choice `first`: of another group */

/**
 * @param {{label: any, title: string, choices: Choice[], className?: string}} props
 */
export function Menu({ label, title, choices, className = "" }) {
  const open = useSignal(false);
  const id = useId();
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const items = () => /** @type {HTMLElement[]} */ ([...(ref.current?.querySelectorAll("[role^=menuitem]") ?? [])]);
  const close = (/** @type {boolean} */ refocus) => {
    open.value = false;
    if (refocus) ref.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!open.value) return undefined;
    items()[0]?.focus();
    const outside = (/** @type {Event} */ event) => {
      if (!ref.current?.contains(/** @type {Node} */ (event.target))) close(false);
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open.value]);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (!open.value) return;
    const all = items();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const step = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape") close(true);
    else if (event.key === "Tab") close(false);
    else if (step !== undefined) all[(step + all.length) % all.length]?.focus();
    else return;
    event.stopPropagation();
    if (event.key !== "Tab") event.preventDefault();
  };
  const item = (/** @type {Choice} */ choice) => {
    const act = () => {
      close(!choice.href);
      choice.run?.();
    };
    const role = choice.checked === undefined ? "menuitem" : "menuitemradio";
    const props = { role, id: choice.id, tabindex: -1, onClick: act, class: choice.danger ? "danger-text" : "", "aria-current": choice.current ? "page" : null, "data-action": choice.action, disabled: choice.disabled || null };
    const line = choice.first ? "first" : "";
    return choice.href
      ? html`<li role="none" class=${line}><a href=${choice.href} ...${props}>${choice.label}</a></li>`
      : html`<li role="none" class=${line}><button type="button" aria-checked=${choice.checked} ...${props}>${choice.label}</button></li>`;
  };
  const toggle = () => {
    open.value = !open.value;
  };
  return html`<div class="menu ${className}" ref=${ref} onKeyDown=${onKeyDown}>
    <button type="button" aria-haspopup="menu" aria-expanded=${open.value} aria-controls=${id} title=${title} onClick=${toggle}>${label}</button>
    ${open.value && html`<ul role="menu" id=${id} aria-label=${title}>${choices.map(item)}</ul>`}
  </div>`;
}

// The buttons of commands: the everyday ones, and a menu of the others, in which triggers are the lesser.

/**
 * @param {{targets: string[], why?: string, quiet?: boolean, triggers?: boolean}} props `why`: why nothing can be done;
 *   `quiet`: all of them in one menu; `triggers`: whether the targets are services that can be triggered
 */
export function Commands({ targets, why = "", quiet = false, triggers = true }) {
  const off = why || (live.value.live ? "" : "Not while the manager has not been heard from.");
  const busy = asking.value;
  const plain = quiet ? [] : COMMANDS.filter(({ command }) => command !== "killstart");
  const run = (/** @type {Command} */ command) => begin(command, targets);
  const button = (/** @type {typeof COMMANDS[number]} */ { command, name, key, danger }) => html`<button key=${command} type="button" data-action=${command}
      class=${danger ? "danger" : ""} disabled=${off !== ""} aria-disabled=${busy ? "true" : null} title=${off || (key ? `${name} (Shift-${key})` : name)} onClick=${() => run(command)}>${busy === command ? "Asking…" : name}</button>`;
  const only = triggers && targets.every((name) => services.value.get(name)?.peek().type === "instance");
  /** @type {import("/components/menu.js").Choice[]} */
  const choices = COMMANDS.filter((one) => !plain.includes(one)).map(({ command, name, danger }) => ({ label: `${name}…`, action: command, danger, disabled: off !== "", run: () => run(command) }));
  if (only) {
    for (const action of /** @type {Action[]} */ (["start", "stop", "kill"])) {
      choices.push({ label: `Trigger ${VERBS[action].name.toLowerCase()}…`, action: `trigger-${action}`, danger: action === "kill", first: action === "start", disabled: off !== "", run: () => void trigger(action, targets) });
    }
  }
  const label = quiet ? html`Commands <span aria-hidden="true">▾</span>` : html`More <span aria-hidden="true">▾</span>`;
  return html`${plain.map(button)}<${Menu} title=${off || (quiet ? `Commands on ${targets.join(", ")}` : "More commands")} label=${label} choices=${choices} className="right" />`;
}
