// The readable page of the API, made from its own description.

import { html, render, signal } from "/lib/html.js";

const api = signal(/** @type {any} */ (null));
const failed = signal("");
const words = signal("");

async function load() {
  failed.value = "";
  try {
    const response = await fetch("/api/v1/openapi.json");
    if (!response.ok) throw new Error(`The manager answered with status ${response.status}.`);
    api.value = await response.json();
  } catch (error) {
    failed.value = `The description of the API cannot be read. ${/** @type {Error} */ (error).message}`;
  }
}

/** Puts what the address names into sight, once it is there. */
function toAnchor() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.scrollIntoView();
  target?.querySelector("h3")?.focus({ preventScroll: true });
}

/** A path without what most begin with. @param {string} path */
const short = (path) => path.replace(/^\/api\/v1(?=\/)/, "");

/** @param {any} operation */
function fits(operation) {
  const { method, path, summary = "", description = "", tag } = operation;
  const text = `${method} ${path} ${summary} ${description} ${tag}`.toLowerCase();
  return words.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function Page() {
  const described = api.value;
  if (failed.value) return html`<main class="view"><h1>API</h1><p class="problem" role="alert">${failed.value}</p><button type="button" onClick=${load}>Try again</button></main>`;
  if (!described) return html`<main class="view"><h1>API</h1><p role="status">Loading…</p></main>`;
  const operations = operationsOf(described).filter(fits);
  const tags = [...new Set(operations.map((operation) => operation.tag))];
  const about = (/** @type {string} */ tag) => described.tags?.find((/** @type {any} */ known) => known.name === tag)?.description;
  const schemas = Object.entries(described.components?.schemas ?? {}).sort(([a], [b]) => a.localeCompare(b));
  const { title, version, description } = described.info ?? {};
  return html`
    <a class="skip" href="#content">Skip to the content</a>
    <header class="api-head"><a class="brand" href="/"><img src="/icon.svg" alt="" width="24" height="24" /> <span>Dashboard</span></a><a href="/api/v1/openapi.json">openapi.json</a></header>
    <div class="api">
      <nav aria-label="Operations">
        <div class="field"><label for="find">Find</label><input id="find" type="search" autocomplete="off" value=${words.value} onInput=${(/** @type {any} */ event) => (words.value = event.currentTarget.value)} /></div>
        ${tags.map((tag) => html`<div key=${tag}><h2>${tag}</h2><ul>${operations.filter((operation) => operation.tag === tag).map(({ id, method, path }) => html`<li key=${id}><a href=${`#${id}`}><span class=${`method m-${method}`}>${method.toUpperCase()}</span> <span>${short(path)}</span></a></li>`)}</ul></div>`)}
        <h2><a href="#schemas">Schemas</a></h2>
      </nav>
      <main class="view" id="content" tabindex="-1">
        <h1>API of ${title ?? "Tomcat Grid"} <small class="quiet">${version}</small></h1>
        <${Prose} text=${description} />
        <${Access} described=${described} />
        <p role="status" class=${words.value ? "quiet" : "only-read"}>${words.value ? `${operations.length} operations fit` : ""}</p>
        ${tags.map((tag) => html`<section key=${tag} aria-labelledby=${`tag-${tag}`}>
          <h2 id=${`tag-${tag}`} class="tag-title">${tag}</h2>
          <${Prose} text=${about(tag)} />
          ${operations.filter((operation) => operation.tag === tag).map((operation) => html`<${Operation} key=${operation.id} operation=${operation} />`)}
        </section>`)}
        <h2 id="schemas" class="tag-title">Schemas</h2>
        ${schemas.map(([name, schema]) => html`<${SchemaPanel} key=${name} name=${name} schema=${/** @type {any} */ (schema)} />`)}
      </main>
    </div>`;
}

/** How a caller shows who it is. @param {{described: any}} props */
function Access({ described }) {
  const prefix = (described.servers?.[0]?.url ?? "").replace(/\/$/, "");
  const base = prefix.startsWith("http") ? prefix : `${location.origin}${prefix}`;
  const example = Object.keys(described.paths ?? {}).find((path) => path.endsWith("/status")) ?? "/api/v1/status";
  return html`<section class="panel" aria-labelledby="access">
    <h2 id="access">Calling it</h2>
    <p>All paths are below <code>${base}</code>. A script shows an API token, which the page “Tokens” makes:</p>
    <pre tabindex="0" aria-label="Example">curl --cacert ca.pem -H "Authorization: Bearer $TOMCAT_GRID_TOKEN" ${base}${example}</pre>
  </section>`;
}

render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
addEventListener("hashchange", toAnchor);
load().then(() => requestAnimationFrame(toAnchor));

// The pieces of the API's page: operations, schemas, and texts with `code` in them.

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

// JSON schemas in words: what a value is, and what an object holds. Pure.

/** @typedef {Record<string, any>} Schema */
/** @typedef {string | {ref: string}} Piece a word, or the name of a schema that is described elsewhere */

/** How deep schemas within schemas are told. */
const DEEPEST = 6;

/**
 * The name in a reference such as `#/components/schemas/Name`.
 * @param {string} ref
 */
export const nameOf = (ref) => ref.split("/").at(-1) ?? ref;

/**
 * Words with something between them.
 * @param {Piece[][]} lists
 * @param {string} between
 * @returns {Piece[]}
 */
const joined = (lists, between) => lists.flatMap((list, at) => (at ? [between, ...list] : list));

/**
 * What a value is.
 * @param {Schema | boolean | undefined} schema
 * @param {number} [depth]
 * @returns {Piece[]}
 */
export function typeOf(schema, depth = 0) {
  if (!schema || schema === true || depth > DEEPEST) return ["anything"];
  if (schema.$ref) return [{ ref: nameOf(schema.$ref) }];
  const inner = (/** @type {Schema} */ part) => typeOf(part, depth + 1);
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((/** @type {unknown} */ value) => JSON.stringify(value)).join(" | ")];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) {
    // What may be absent is told last.
    const sorted = [...choices].sort((a, b) => Number(a.type === "null") - Number(b.type === "null"));
    return joined(sorted.map(inner), " or ");
  }
  if (schema.allOf) return joined(schema.allOf.map(inner), " with ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? (schema.properties ? "object" : "anything")];
  return joined(types.map((type) => one(schema, type, inner)), " or ");
}

/**
 * @param {Schema} schema
 * @param {string} type
 * @param {(part: Schema) => Piece[]} inner
 * @returns {Piece[]}
 */
function one(schema, type, inner) {
  if (type === "array") return ["list of ", ...inner(schema.items)];
  if (type === "object" && schema.additionalProperties && schema.additionalProperties !== true) {
    return ["object of ", ...inner(schema.additionalProperties)];
  }
  if (type === "string" && schema.format) return [`string (${schema.format})`];
  return [type];
}

/**
 * The bounds of a value, in words.
 * @param {Schema | undefined} schema
 */
export function boundsOf(schema) {
  if (!schema) return "";
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern } = schema;
  const parts = [range(minimum, maximum, ""), range(minLength, maxLength, " characters"), range(minItems, maxItems, " items")];
  if (pattern) parts.push(`like ${pattern}`);
  if (schema.default !== undefined && schema.default !== null) parts.push(`default ${JSON.stringify(schema.default)}`);
  return parts.filter(Boolean).join("; ");
}

/** @param {number | undefined} least @param {number | undefined} most @param {string} unit */
function range(least, most, unit) {
  if (least !== undefined && most !== undefined) return `${least} to ${most}${unit}`;
  if (most !== undefined) return `at most ${most}${unit}`;
  return least ? `at least ${least}${unit}` : "";
}

/**
 * What an object holds, with that of its parts.
 * @param {Schema | undefined} schema
 * @returns {{name: string, schema: Schema, required: boolean}[]}
 */
export function fieldsOf(schema) {
  if (!schema) return [];
  const required = new Set(schema.required ?? []);
  const own = Object.entries(schema.properties ?? {}).map(([name, field]) => ({ name, schema: /** @type {Schema} */ (field), required: required.has(name) }));
  return [...(schema.allOf ?? []).flatMap(fieldsOf), ...own];
}

/**
 * The operations of a description, in the order of its paths.
 * @param {any} api
 */
export function operationsOf(api) {
  const methods = ["get", "post", "put", "patch", "delete"];
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    methods
      .filter((method) => /** @type {any} */ (item)[method])
      .map((method) => {
        const operation = /** @type {any} */ (item)[method];
        const parameters = [.../** @type {any} */ (item.parameters ?? []), ...(operation.parameters ?? [])];
        return { ...operation, method, path, parameters, id: operation.operationId ?? `${method}${path}`.replace(/\W+/g, "-"), tag: operation.tags?.[0] ?? "other" };
      }),
  );
}
