// A secret that is shown once.

import { html, useEffect, useRef } from "/lib/html.js";
import { Copy } from "/components/copy.js";

/**
 * A secret with its button to copy it; takes the focus when it appears, because it will not be shown again.
 * @param {{title: string, label: string, secret: string, onDone: () => void, children?: any}} props
 */
export function Secret({ title, label, secret, onDone, children }) {
  const heading = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => heading.current?.focus(), [secret]);
  return html`<section class="secret" aria-label=${title}>
    <h2 tabindex="-1" ref=${heading}>${title}</h2>
    <p class="hint">It is shown this once: copy it now.</p>
    <${Copy} text=${secret} label=${label} secret />
    ${children}
    <p><button type="button" onClick=${onDone}>Done, hide it</button></p>
  </section>`;
}
