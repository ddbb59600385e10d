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

/** Puts the focus on the button that opened a form, when the form is closed. */
export const focusOpener = () => focusHeading(".view-actions button");

/** How long a list may take to be drawn without what was removed, in milliseconds. */
const DRAWN = 300;

/**
 * Puts the focus on a heading, when what had it was taken away.
 * @param {string} [selector]
 */
export function focusHeading(selector = ".view h1") {
  const focus = () => /** @type {HTMLElement|null} */ (document.querySelector(selector))?.focus();
  // A dialog that closes gives the focus back to its button first.
  requestAnimationFrame(() => setTimeout(focus));
  setTimeout(() => {
    if (document.activeElement === document.body) focus();
  }, DRAWN);
}
