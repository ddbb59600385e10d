// Tags: changed for many at once, and kept true.

import { many } from "/lib/actions.js";
import { call } from "/lib/api.js";
import { applyTags, machines, onEvent, services } from "/lib/store.js";
import { toast } from "/components/dialog.js";

/** The most services of one call. */
const CHUNK = 1000;

/** How long the states that a change of tags brings along may take, in milliseconds. */
const AFTER = 400;

/**
 * Asks for tags to add and remove, and changes them.
 * @param {string[]} names of services
 * @returns {Promise<void>}
 */
export async function tag(names) {
  const known = names.flatMap((name) => services.peek().get(name)?.peek() ?? []);
  const instances = known.filter((service) => service.type === "instance");
  const { askTags } = await import("/components/tags.js");
  const change = await askTags(instances, known.length - instances.length);
  if (!change || (!change.add.length && !change.remove.length)) return;
  const targets = instances.map((service) => service.name);
  const changed = new Set();
  try {
    for (let i = 0; i < targets.length; i += CHUNK) {
      const answer = await call("POST", "/tags", { ...change, services: targets.slice(i, i + CHUNK), machines: [] });
      for (const name of answer.services) changed.add(name);
    }
    toast(changed.size ? `Tags of ${many(changed.size, "instance")} changed.` : "No tags needed changing.", "good");
  } catch (problem) {
    const partly = changed.size ? `${many(changed.size, "instance")} changed, the others not: ` : "";
    toast(`Tags: ${partly}${/** @type {Error} */ (problem).message}`, "bad");
  }
}

/**
 * Whether the store agrees with a change of tags. A tag of the machine stays on its services.
 * @param {{services?: string[], machines?: string[], add?: string[], remove?: string[]}} change
 */
function agrees({ services: tagged = [], machines: hosts = [], add = [], remove = [] }) {
  const fits = (/** @type {string[]} */ tags, /** @type {string[]} */ kept) =>
    add.every((one) => tags.includes(one)) && remove.every((one) => !tags.includes(one) || kept.includes(one));
  const tagsOf = (/** @type {string|undefined} */ machine) => machines.peek().get(machine ?? "")?.peek().tags ?? [];
  const service = (/** @type {string} */ name) => services.peek().get(name)?.peek();
  if (!hosts.every((name) => fits(tagsOf(name), []))) return false;
  if (!tagged.every((name) => fits(service(name)?.tags ?? [], tagsOf(service(name)?.machine)))) return false;
  const onThem = [...services.peek().values()].filter((held) => hosts.includes(held.peek().machine));
  return onThem.every((held) => add.every((one) => held.peek().tags?.includes(one)));
}

let reading = 0;

onEvent((event) => {
  // Another configuration may have put services into other collections.
  const other = event.kind === "config.applied";
  if ((event.kind !== "tags.changed" && !other) || reading) return;
  reading = setTimeout(async () => {
    reading = 0;
    if (!other && agrees(event.data)) return;
    const status = await call("GET", "/status").catch(() => null);
    if (status) applyTags(status);
  }, AFTER);
});
