// Commands: what would be done is asked of the manager first, confirmed, and then followed as an operation.

import { VERBS, asking } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { keep } from "/lib/operations.js";
import { go, route } from "/lib/router.js";
import { close, toast } from "/components/toast.js";

/** @import { Command } from "/lib/types.js" */

/** After which time it is said that an answer is waited for, in milliseconds. */
const SLOW = 300;

/** The most targets of one operation. */
const MOST = 1000;

/** The commands in the order in which they are offered. @type {{command: Command, name: string, key?: string, danger?: boolean}[]} */
export const COMMANDS = [
  { command: "start", name: VERBS.start.name, key: "S" },
  { command: "stop", name: VERBS.stop.name, key: "T" },
  { command: "restart", name: "Restart", key: "R" },
  { command: "kill", name: VERBS.kill.name, key: "K", danger: true },
  { command: "killstart", name: "Kill and start", danger: true },
];

/**
 * What a command is called.
 * @param {Command} command
 */
export const nameOf = (command) => COMMANDS.find((one) => one.command === command)?.name ?? command;

/**
 * What an operation is about, in a few words.
 * @param {string[]} targets
 */
export const summed = (targets) => (targets.length > 3 ? `${targets.slice(0, 2).join(", ")} and ${targets.length - 2} more` : targets.join(", "));

/**
 * Asks what a command would do, lets it be confirmed, and begins it. One at a time.
 * @param {Command} command
 * @param {string[]} targets services, collections, `@MACHINE`, `#TAG` or `all`
 * @returns {Promise<void>}
 */
export async function begin(command, targets) {
  if (!targets.length || asking.peek()) return;
  if (targets.length > MOST) {
    toast(`${nameOf(command)}: one operation names at most ${MOST.toLocaleString("en")} services. Choose a tag, a machine or a collection instead.`, "bad");
    return;
  }
  asking.value = command;
  let note = -1;
  const slow = setTimeout(() => {
    note = toast(`${nameOf(command)}: asking what would be done…`);
  }, SLOW);
  const here = () => route.peek().path.join("/");
  const from = here();
  try {
    const [{ askCommand }, plan] = await Promise.all([import("/components/command.js"), call("POST", "/operations", { command, targets, dry_run: true })]);
    clearTimeout(slow);
    close(note);
    // Who has gone elsewhere meanwhile does something else.
    if (here() !== from) return;
    const order = await askCommand(command, targets, plan);
    if (!order) return;
    follow(await call("POST", "/operations", { command, targets, order }));
  } catch (problem) {
    close(note);
    toast(`${nameOf(command)} ${summed(targets)}: ${/** @type {Error} */ (problem).message}`, "bad");
  } finally {
    clearTimeout(slow);
    asking.value = "";
  }
}

/**
 * Shows an operation that has just begun: in the grid with a link to it, so that one stays there.
 * @param {import("/lib/types.js").Operation} operation
 */
export function follow(operation) {
  keep(operation);
  const to = `/operations/${operation.id}`;
  if (route.peek().path.length) return go(to);
  toast(`${nameOf(operation.command)} ${summed(operation.targets)} has begun.`, "good", { label: "Follow it", run: () => go(to) });
}
