// The pieces of the API's page: operations, schemas, and texts with `code` in them.

import { html } from "/lib/html.js";
import { boundsOf, fieldsOf, typeOf } from "/views/api/schema.js";

/** @import { Schema } from "/views/api/schema.js" */

/**
 * A text with `code` in it, by paragraphs.
 * @param {{text: string | undefined}} props
 */
export function Prose({ text }) {
  if (!text) return null;
  return text.split(/\n\s*\n/).map((paragraph, at) => html`<p key=${at}>${codes(paragraph)}</p>`);
}

/** @param {string} text */
const codes = (text) => text.split("`").map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

/** @param {{schema: Schema | undefined}} props */
function Type({ schema }) {
  return typeOf(schema).map((piece) => (typeof piece === "string" ? piece : html`<a href=${`#schema-${piece.ref}`}>${piece.ref}</a>`));
}

/**
 * Names with what they hold.
 * @param {{caption: string, rows: {name: string, schema: Schema, required: boolean, where?: string, description?: string}[]}} props
 */
function Names({ caption, rows }) {
  return html`<table class="sheet" role="table">
    <caption class="only-read">${caption}</caption>
    <thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Name</th><th scope="col" role="columnheader">Type</th><th scope="col" role="columnheader">Meaning</th></tr></thead>
    <tbody role="rowgroup">${rows.map(({ name, schema, required, where, description }) => html`<tr key=${`${where}${name}`} role="row">
      <th scope="row" role="rowheader"><code>${name}</code>${required && html` <span class="must" title="must be given">required</span>`}</th>
      <td role="cell" data-label="Type"><span><${Type} schema=${schema} />${boundsOf(schema) && html` <span class="quiet">${boundsOf(schema)}</span>`}</span></td>
      <td role="cell" data-label="Meaning"><span>${where && html`<span class="quiet">in the ${where}. </span>`}${codes(description ?? schema.description ?? "")}</span></td>
    </tr>`)}</tbody>
  </table>`;
}

/** The schema of a body, whatever its media type. @param {any} holder */
const bodyOf = (holder) => /** @type {any} */ (Object.entries(holder?.content ?? {})[0] ?? []);

/** @param {{operation: any}} props */
export function Operation({ operation }) {
  const { id, method, path, summary, description, parameters, requestBody, responses, deprecated } = operation;
  const [, body] = bodyOf(requestBody);
  const fields = fieldsOf(body?.schema);
  return html`<section class="panel operation" id=${id} aria-labelledby=${`${id}-title`}>
    <h3 id=${`${id}-title`} tabindex="-1"><span class=${`method m-${method}`}>${method.toUpperCase()}</span> <code>${path}</code> <a class="anchor" href=${`#${id}`} aria-label=${`Link to ${method} ${path}`}>#</a></h3>
    <p class="summary">${codes(summary ?? "")}${deprecated && html` <span class="bad">deprecated</span>`}</p>
    ${description !== summary && html`<${Prose} text=${description} />`}
    ${parameters.length > 0 && html`<h4>Parameters</h4><${Names} caption=${`Parameters of ${method} ${path}`} rows=${parameters.map((/** @type {any} */ parameter) => ({ ...parameter, where: parameter.in, required: !!parameter.required, schema: parameter.schema ?? {} }))} />`}
    ${body && html`<h4>Body</h4><p><${Type} schema=${body.schema} /></p>${fields.length > 0 && html`<${Names} caption=${`Body of ${method} ${path}`} rows=${fields} />`}`}
    <h4>Answers</h4>
    <dl class="answers">${Object.entries(responses ?? {}).map(([status, answer]) => html`<${Answer} key=${status} status=${status} answer=${answer} />`)}</dl>
  </section>`;
}

/** @param {{status: string, answer: any}} props */
function Answer({ status, answer }) {
  const [type, body] = bodyOf(answer);
  return html`<div>
    <dt class=${status < "400" ? "good" : "bad"}>${status}</dt>
    <dd>${codes(answer.description ?? "")}${body?.schema && html` <span class="quiet">→ <${Type} schema=${body.schema} /></span>`}${type && type !== "application/json" && html` <span class="quiet">(${type})</span>`}</dd>
  </div>`;
}

/** @param {{name: string, schema: Schema}} props */
export function SchemaPanel({ name, schema }) {
  const fields = fieldsOf(schema);
  const choices = schema.oneOf ?? schema.anyOf ?? [];
  return html`<section class="panel" id=${`schema-${name}`} aria-labelledby=${`schema-${name}-title`}>
    <h3 id=${`schema-${name}-title`} tabindex="-1">${name} <a class="anchor" href=${`#schema-${name}`} aria-label=${`Link to ${name}`}>#</a></h3>
    <${Prose} text=${schema.description} />
    ${fields.length > 0 && html`<${Names} caption=${`Fields of ${name}`} rows=${fields} />`}
    ${!fields.length && !choices.length && html`<p><${Type} schema=${schema} /> <span class="quiet">${boundsOf(schema)}</span></p>`}
    ${choices.length > 0 && html`<ul class="choices-of">${choices.map((/** @type {Schema} */ choice, /** @type {number} */ at) => html`<li key=${at}>
      ${codes(choice.description ?? "")} ${fieldsOf(choice).length > 0 ? html`<${Names} caption=${`Form ${at + 1} of ${name}`} rows=${fieldsOf(choice)} />` : html`<${Type} schema=${choice} />`}
    </li>`)}</ul>`}
  </section>`;
}
