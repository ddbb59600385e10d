// A button that opens a small menu below it.

import { html, useEffect, useId, useRef, useSignal } from "/lib/html.js";

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
