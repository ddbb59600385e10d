// Names that lead somewhere.

import { html } from "/lib/html.js";
import { href } from "/lib/router.js";
import { services } from "/lib/store.js";
import { StateMark, shownState } from "/components/state.js";

/** @param {{name: string}} props */
export const ServiceLink = ({ name }) => html`<a class="name" href=${href(`/services/${name}`)}>${name}</a>`;

/** @param {{name: string}} props */
export const MachineLink = ({ name }) => html`<a class="name" href=${href("/machines", { machine: name })}>${name}</a>`;

/**
 * Tags, each a link to what carries it.
 * @param {{tags: string[]|undefined}} props
 */
export const Tags = ({ tags = [] }) =>
  tags.length > 0 && html`<ul class="tags" role="list" aria-label="Tags">${tags.map((tag) => html`<li key=${tag}><a class="tag" href=${href("/", { q: `tag:${tag}` })}>${tag}</a></li>`)}</ul>`;

/**
 * The state of a service that is known by its name.
 * @param {{name: string}} props
 */
export function StateOf({ name }) {
  const service = services.value.get(name)?.value;
  return service ? html`<${StateMark} state=${shownState(service)} />` : html`<span class="quiet">unknown</span>`;
}
