// The grid: every service, what is wrong first.

import { html } from "/lib/html.js";
import { services } from "/lib/store.js";

export default function Grid() {
  return html`<h1>Grid</h1><p>${services.value.size} services</p>`;
}
