// The readable page of the API, made from its own description.

import { html, render, signal } from "/lib/html.js";
import { Operation, Prose, SchemaPanel } from "/views/api/parts.js";
import { operationsOf } from "/views/api/schema.js";

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
