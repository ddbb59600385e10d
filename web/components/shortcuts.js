// The help on keys.

import { html } from "/lib/html.js";
import { can } from "/lib/store.js";
import { Dialog } from "/components/dialog.js";
import { VIEWS } from "/components/views.js";

/** @param {{onClose: () => void}} props */
export default function Shortcuts({ onClose }) {
  const views = VIEWS.filter((view) => !view.shown || view.shown());
  const acts = can("trigger");
  /** @type {[string, [string[], string][]][]} */
  const groups = [
    ["Everywhere", [[["Ctrl K"], "Find and do"], [["?"], "This help"], [["Esc"], "Close, or clear the selection"]]],
    ["Go to", views.map((view) => [["g", view.key], view.label])],
    [
      "In the grid",
      [
        [["/"], "Search"],
        [["j", "k"], "Down, up (also the arrows)"],
        [["Enter"], "Open the service"],
        [["d"], "Dense or not"],
        ...(acts ? /** @type {[string[], string][]} */ ([[["x"], "Select (also Space)"], [["Shift X"], "Select the whole group"], [["Shift ↓"], "Extend the selection"], [["Ctrl A"], "Select all that are shown"]]) : []),
      ],
    ],
  ];
  if (acts) groups.push(["With the selection", [[["Shift S"], "Start"], [["Shift T"], "Stop"], [["Shift R"], "Restart"], [["Shift K"], "Kill"], [["t"], "Tag"]]]);
  return html`<${Dialog} id="shortcuts" title="Keyboard shortcuts" wide onClose=${onClose}>
    <div class="body" tabindex="0" role="region" aria-label="Keys">
      ${groups.map(([title, keys]) => html`<section key=${title}>
        <h3>${title}</h3>
        <dl>${keys.map(([names, what]) => html`<dt>${names.map((name) => html`<kbd key=${name}>${name}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
      </section>`)}
    </div>
  <//>`;
}
