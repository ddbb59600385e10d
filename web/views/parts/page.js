// The frame of a view: its heading, and a place for the focus when what had it is gone.

import { html } from "/lib/html.js";

/**
 * @param {{title: any, about?: any, actions?: any, class?: string, children?: any}} props
 */
export function Page({ title, about, actions, class: extra = "", children }) {
  return html`<div class=${`view ${extra}`}>
    <header class="view-head">
      <div><h1 tabindex="-1">${title}</h1>${about && html`<p class="about">${about}</p>`}</div>
      ${actions && html`<div class="view-actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

/**
 * Puts the focus on a heading, when what had it was taken away.
 * @param {string} [selector]
 */
export function focusHeading(selector = ".view h1") {
  // After the list is drawn without it.
  requestAnimationFrame(() => /** @type {HTMLElement|null} */ (document.querySelector(selector))?.focus());
}
