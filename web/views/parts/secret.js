// Secrets that are shown once.

import { loggedOut } from "/lib/api.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { Copy } from "/components/copy.js";

/**
 * Calls when the session has ended: who logs in next may be somebody else.
 * @param {() => void} work
 */
export function useLoggedOut(work) {
  useEffect(() => {
    const before = loggedOut.peek();
    return loggedOut.subscribe((times) => {
      if (times !== before) work();
    });
  }, []);
}

/**
 * The secrets that a view shows, the newest first.
 * @template T
 * @typedef {{all: T[], add: (secret: T) => void, hide: (secret: T) => void}} Secrets
 */

/**
 * Shows secrets, each until it is hidden, at most until the session ends.
 * @template T
 * @returns {Secrets<T>}
 */
export function useSecrets() {
  const shown = useSignal(/** @type {T[]} */ ([]));
  useLoggedOut(() => {
    shown.value = [];
  });
  return {
    all: shown.value,
    add: (secret) => {
      shown.value = [secret, ...shown.peek()];
    },
    hide: (secret) => {
      shown.value = shown.peek().filter((other) => other !== secret);
    },
  };
}

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
