// The buttons of commands: the everyday ones, and a menu of the others, in which triggers are the lesser.

import { VERBS, asking, trigger } from "/lib/actions.js";
import { COMMANDS, begin } from "/lib/commands.js";
import { html } from "/lib/html.js";
import { live, services } from "/lib/store.js";
import { Menu } from "/components/menu.js";

/** @import { Action, Command } from "/lib/types.js" */

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
  return html`${plain.map(button)}<${Menu} title=${off || (quiet ? `Commands on ${targets.join(", ")}` : "More commands")} label=${label} choices=${choices} className="commands" />`;
}
