// What happened, newest first, as it happens.

import { html, useComputed, useEffect, useRef } from "/lib/html.js";
import { route, setQuery } from "/lib/router.js";
import { can, machines, services } from "/lib/store.js";
import { full } from "/lib/time.js";
import { FAMILIES, FeedProblem, filtersOf, isFiltered, kindsOf, mentions, Newer, PAGE, useFeed } from "/views/events/feed.js";
import { Lines } from "/views/events/line.js";
import { Choice, Filter, Page, useWide } from "/views/parts/page.js";
/** @import { Feed } from "/lib/types.js" */

/** @import { Filters as Chosen } from "/views/events/feed.js" */

/** How far down somebody may have scrolled and still sees what comes, in pixels. */
const NEAR = 120;

/** So many events are looked through for words without being asked to. */
const EAGER = 500;

/** @type {[string, string][]} */
const STATES = [
  ["", "any"],
  ["active", "active"],
  ["starting", "starting"],
  ["stopping", "stopping"],
  ["unresponsive", "unresponsive"],
  ["stopped", "stopped"],
  ["not_available", "not available"],
];

export default function Events() {
  const filters = filtersOf(route.value.query);
  const feed = useFeed(filters, () => scrollY > NEAR);
  const drawn = useRef(new Map());
  const shown = feed.events.value.filter((event) => mentions(event, filters.text));
  return html`<${Page} title="Events" about="What happened, newest first, as it happens.">
    <${Filters} filters=${filters} />
    <${Newer} feed=${feed} top=${() => scrollTo({ top: 0 })} />
    <${FeedProblem} feed=${feed} />
    ${!feed.loaded.value && feed.busy.value && html`<p class="quiet" role="status">Loading events…</p>`}
    ${shown.length > 0 && html`<${Lines} events=${shown} label="Events, newest first" drawn=${drawn.current} />`}
    ${feed.loaded.value && shown.length === 0 && html`<p class="nothing">${!isFiltered(filters) ? "Nothing has happened yet." : feed.more.value ? "No event searched so far matches these filters." : "No event matches these filters."}</p>`}
    <${Older} feed=${feed} text=${filters.text} shown=${shown.length} />
  <//>`;
}

/** The way to older events: taken when it comes into sight. @param {{feed: Feed, text: string, shown: number}} props */
function Older({ feed, text, shown }) {
  const end = useRef(/** @type {HTMLElement | null} */ (null));
  const more = feed.loaded.value && feed.more.value;
  useEffect(() => {
    if (!more || !end.current) return undefined;
    // A search that finds little would go through the whole journal: from some point on it is asked for.
    const found = !text || feed.events.value.length < EAGER || feed.events.value.slice(-PAGE).some((event) => mentions(event, text));
    const eager = found && !feed.barren.value;
    const watch = new IntersectionObserver((seen) => {
      if (eager && seen.some((entry) => entry.isIntersecting) && !feed.busy.peek() && !feed.problem.peek()) feed.older();
    }, { rootMargin: "400px" });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [more, text, feed.events.value, feed.barren.value]);
  const oldest = feed.events.value.at(-1);
  const label = feed.barren.value ? "Search further back" : "Older events";
  const { barren, loaded } = feed;
  return html`
    ${more && html`<p class="more" ref=${end}>
      ${barren.value && html`<span class="quiet" role="status">${searched(feed)} </span>`}
      <button type="button" disabled=${feed.busy.value} onClick=${feed.older}>${feed.busy.value ? "Loading…" : label}</button>
    </p>`}
    ${loaded.value && text && oldest && !(more && barren.value) && html`<p class="quiet" role="status">Searched ${more ? `back to ${full(oldest.at)}` : "everything that is kept"}.</p>`}
    ${loaded.value && !more && !text && shown > 0 && html`<p class="quiet end">That is all that is kept.</p>`}
  `;
}

/** How far a search came that found nothing last. @param {Feed} feed */
function searched(feed) {
  const at = feed.reached.value;
  return `Searched ${at ? `back to ${full(at)}` : "a part of the journal"}: nothing ${feed.events.value.length ? "more yet" : "yet"}.`;
}

/** @param {{filters: Chosen}} props */
function Filters({ filters }) {
  const wide = useWide();
  const names = useComputed(() => [[...services.value.keys()], [...machines.value.keys()]]);
  const chosen = new Set(kindsOf(filters.kind));
  const families = FAMILIES.filter((family) => !family.admin || can("manage"));
  const has = (/** @type {typeof FAMILIES[number]} */ family) => family.kinds.every((kind) => chosen.has(kind));
  const known = new Set(families.flatMap((family) => (has(family) ? family.kinds : [])));
  // Kinds that a link names and no box stands for.
  const others = [...chosen].filter((kind) => !known.has(kind));
  const toggle = (/** @type {typeof FAMILIES[number]} */ family) => {
    const keys = families.filter((other) => (other === family ? !has(other) : has(other))).map((other) => other.key);
    setQuery({ kind: [...keys, ...others].join(",") });
  };
  const typed = (/** @type {"q" | "service" | "machine" | "actor"} */ name, /** @type {string} */ value) => ({ name, value, onValue: (/** @type {string} */ text) => setQuery({ [name]: text }) });
  const clear = () => setQuery({ q: null, kind: null, service: null, machine: null, actor: null, state: null });
  const drop = () => setQuery({ kind: families.filter(has).map((family) => family.key).join(",") });
  const isExact = [filters.service, filters.machine, filters.actor, filters.state].some(Boolean);
  const exact = html`
    <${Filter} label="Service" ...${typed("service", filters.service)} list="all-services" placeholder="name, exactly" />
    <${Filter} label="Machine" ...${typed("machine", filters.machine)} list="all-machines" placeholder="name, exactly" />
    <${Filter} label="Who" ...${typed("actor", filters.actor)} placeholder="name, exactly" />
    <${Choice} label="State" name="state" options=${STATES} value=${filters.state} onChange=${(/** @type {any} */ event) => setQuery({ state: event.currentTarget.value })} />`;
  return html`<form class="filters" role="search" aria-label="Filter the events" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <fieldset class="kinds">
      <legend>Kinds <span class="quiet">${chosen.size ? "" : "(all)"}</span></legend>
      ${families.map((family) => html`<label key=${family.key} class="check"><input type="checkbox" name=${family.key} checked=${has(family)} onChange=${() => toggle(family)} /> ${family.label}</label>`)}
      ${others.length > 0 && html`<button type="button" class="link" onClick=${drop} aria-label=${`Do not filter by ${others.join(", ")}`}>${others.join(", ")} ✕</button>`}
    </fieldset>
    <${Filter} label="Words" class="words" ...${typed("q", filters.text)} type="search" />
    ${wide ? exact : html`<details class="more-filters" open=${isExact}><summary>More filters</summary><div>${exact}</div></details>`}
    ${isFiltered(filters) && html`<div class="buttons"><button type="button" onClick=${clear}>Clear the filters</button></div>`}
    <datalist id="all-services">${names.value[0].map((name) => html`<option key=${name} value=${name} />`)}</datalist>
    <datalist id="all-machines">${names.value[1].map((name) => html`<option key=${name} value=${name} />`)}</datalist>
  </form>`;
}
