// A text with a button that copies it.

import { html, useSignal } from "/lib/html.js";

/**
 * @param {{text: string, label?: string, secret?: boolean}} props
 */
export function Copy({ text, label = "Copy", secret = false }) {
  const said = useSignal("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = "Copied";
    } catch {
      // Without the right to copy, the text is selected, and Ctrl-C does it.
      said.value = "Press Ctrl-C";
      const code = document.querySelector(`[data-copy="${CSS.escape(text)}"]`);
      if (code) getSelection()?.selectAllChildren(code);
    }
    setTimeout(() => {
      said.value = "";
    }, 3000);
  };
  return html`<span class="copy">
    <code data-copy=${text} data-secret=${secret ? "" : null} tabindex="0">${text}</code>
    <button type="button" onClick=${copy}>${said.value || label}</button>
    <span class="hidden" role="status">${said}</span>
  </span>`;
}
