// A text with the numbers of its lines.

import { html, useRef } from "/lib/html.js";

/** @typedef {{line: number, column: number, what: string}} Mistake */

/**
 * The mistakes that an answer lists, one a line: `line L, column C: what`.
 * @param {string} text
 * @returns {Mistake[]}
 */
export function mistakesOf(text) {
  return text.split("\n").filter(Boolean).map((one) => {
    const found = /^line (\d+), column (\d+): (.*)$/.exec(one.trim());
    return found ? { line: Number(found[1]), column: Number(found[2]), what: found[3] } : { line: 0, column: 0, what: one };
  });
}

/** @param {{area: {current: HTMLTextAreaElement|null}, text: string, onEdit: (text: string) => void, readonly: boolean, bad: Set<number>}} props */
export function Editor({ area, text, onEdit, readonly, bad }) {
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
