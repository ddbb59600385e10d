// A feed of events: the latest pages of the journal, and what is told live. Bounded at both ends.

import { call } from "/lib/api.js";
import { batch, effect, html, useEffect, useRef, useSignal } from "/lib/html.js";
import { live, onEvent, resets } from "/lib/store.js";
import { ProblemNote } from "/components/dialog.js";
import { plain, sentence } from "/views/events/line.js";

/** @import { Problem } from "/lib/api.js" */
/** @import { Signal } from "/lib/html.js" */
/** @import { Feed, GridEvent } from "/lib/types.js" */

/** The most events that are held. */
const MOST = 1000;

/** How many events a page has. */
export const PAGE = 100;

/** The most that stay while new ones come in: older ones are one call away. */
const KEPT = 200;

/** How often live events are drawn, in milliseconds; and in a flood, in which nobody reads each of them. */
const BEAT = 250;
const SLOW = 1000;

/** More than so many at once are a flood. */
const FLOOD = 50;

/**
 * Which of two ids is later.
 * @param {string} a
 * @param {string} b
 */
export function later(a, b) {
  const [epochA, seqA] = a.split("-").map(Number);
  const [epochB, seqB] = b.split("-").map(Number);
  return epochA - epochB || seqA - seqB;
}

/**
 * Reads a feed, and again when its filters change.
 * @param {Filters} filters what the manager applies of them
 * @param {() => boolean} held whether new events wait, because somebody reads further down
 * @returns {Feed}
 */
export function useFeed(filters, held) {
  const events = useSignal(/** @type {GridEvent[]} */ ([]));
  const waiting = useSignal(/** @type {GridEvent[]} */ ([]));
  const missing = useSignal(false);
  const more = useSignal(false);
  const barren = useSignal(false);
  const reached = useSignal(/** @type {string|null} */ (null));
  const busy = useSignal(false);
  const loaded = useSignal(false);
  const problem = useSignal(/** @type {Problem|null} */ (null));
  const turn = useRef(0);
  /** Where older ones begin, as a piece of the path: a part may hold none that fit, and yet be followed by others. */
  const from = useRef("");
  const failed = useRef(() => Promise.resolve());
  const path = journalPath(filters, PAGE);

  /** @param {(page: {items: GridEvent[], next: string|null}) => void} take @param {string} [at] */
  const load = async (take, at = "") => {
    const mine = ++turn.current;
    busy.value = true;
    problem.value = null;
    try {
      const page = await call("GET", path + at);
      if (mine === turn.current) batch(() => take(page));
    } catch (error) {
      if (mine !== turn.current) return;
      failed.current = () => load(take, at);
      problem.value = /** @type {Problem} */ (error);
    } finally {
      if (mine === turn.current) busy.value = false;
    }
  };
  /** Asks when the first event was that was not searched. @param {string} cursor @param {number} mine */
  const look = async (cursor, mine) => {
    const page = await call("GET", `/journal?limit=1&cursor=${encodeURIComponent(cursor)}`).catch(() => null);
    if (mine === turn.current) reached.value = page?.items[0]?.at ?? null;
  };
  /** @param {{items: GridEvent[], next: string|null}} page */
  const goOn = ({ items, next }) => {
    from.current = next ? `&cursor=${encodeURIComponent(next)}` : "";
    more.value = next !== null;
    barren.value = items.length === 0;
    reached.value = null;
    if (next && barren.peek()) look(next, turn.current);
  };
  /** Keeps the newest; the older ones are fetched again. @param {GridEvent[]} all @param {number} most */
  const newest = (all, most) => {
    events.value = all.slice(0, most);
    if (all.length <= most) return;
    from.current = `&before=${all[most - 1].id}`;
    more.value = true;
    barren.value = false;
  };
  const latest = () =>
    load((page) => {
      const first = page.items[0]?.id;
      // What was told while the page was fetched is newer than it.
      const told = [...waiting.peek(), ...events.peek()].filter((event) => !first || later(event.id, first) > 0);
      waiting.value = [];
      missing.value = false;
      loaded.value = true;
      goOn(page);
      newest([...told, ...page.items], MOST);
    });
  const older = () =>
    load((page) => {
      const all = [...events.peek(), ...page.items];
      // Who reads far down loses the newest, which are one call away.
      if (all.length > MOST) missing.value = true;
      events.value = all.slice(-MOST);
      goOn(page);
    }, from.current);
  const show = () =>
    batch(() => {
      // Older ones that are on their way must find the end they were asked for.
      newest([...waiting.peek(), ...events.peek()], busy.peek() ? 2 * MOST : KEPT);
      waiting.value = [];
    });

  useEffect(() => {
    batch(() => {
      events.value = [];
      waiting.value = [];
      loaded.value = false;
      more.value = false;
      missing.value = false;
      barren.value = false;
    });
    latest();
    /** @type {GridEvent[]} */
    let fresh = [];
    let timer = 0;
    let beat = BEAT;
    const flush = () => {
      timer = 0;
      const known = (waiting.peek()[0] ?? events.peek()[0])?.id;
      const news = fresh.filter((event) => !known || later(event.id, known) > 0).reverse();
      fresh = [];
      beat = news.length > FLOOD ? SLOW : BEAT;
      if (!news.length) return;
      waiting.value = [...news, ...waiting.peek()].slice(0, MOST);
      if (loaded.peek() && !held() && !missing.peek()) show();
    };
    const stop = onEvent((event) => {
      if (!belongs(event, filters)) return;
      fresh.push(event);
      if (fresh.length > MOST) fresh.shift();
      timer ||= setTimeout(flush, beat);
    });
    // After a snapshot events may be missing between those before and those after it: the journal has them.
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value === before) return;
      if (held()) missing.value = true;
      else latest();
    });
    // What failed while the manager was away is asked again when it is back.
    const heal = effect(() => {
      if (live.value.live && problem.peek()) failed.current();
    });
    return () => {
      turn.current++;
      clearTimeout(timer);
      stop();
      forget();
      heal();
    };
  }, [path]);

  const again = () => failed.current();
  return { events, waiting, missing, more, barren, reached, busy, loaded, problem, held, older, again, show, latest };
}

// Which events a feed shows: the rules of its filters, and how they are written in addresses. Pure.

/** @typedef {{kind: string[], service: string, machine: string, actor: string, state: string, text: string}} Filters */

/**
 * The families of kinds that can be chosen. A kind that ends in a point is a prefix.
 * @type {{key: string, label: string, kinds: string[], admin?: boolean}[]}
 */
export const FAMILIES = [
  { key: "services", label: "Services", kinds: ["service."] },
  { key: "triggers", label: "Triggers", kinds: ["trigger"] },
  { key: "operations", label: "Operations", kinds: ["operation.state"] },
  { key: "hooks", label: "Hooks", kinds: ["hook.", "program."] },
  { key: "schedules", label: "Schedules", kinds: ["schedule."] },
  { key: "config", label: "Configuration", kinds: ["config."] },
  { key: "machines", label: "Machines", kinds: ["machine."] },
  { key: "tags", label: "Tags", kinds: ["tags."] },
  { key: "manager", label: "Manager", kinds: ["manager."] },
  { key: "logins", label: "Logins", kinds: ["login", "login.failed", "logout"], admin: true },
  { key: "access", label: "Users and tokens", kinds: ["user.", "token."], admin: true },
  { key: "refused", label: "Refused", kinds: ["action.refused", "machine.refused"], admin: true },
];

/**
 * The filters that an address holds.
 * @param {URLSearchParams} query
 * @returns {Filters}
 */
export function filtersOf(query) {
  const text = (/** @type {string} */ key) => (query.get(key) ?? "").trim();
  const kind = text("kind").split(",").filter(Boolean).slice(0, 32);
  return { kind, service: text("service"), machine: text("machine"), actor: text("actor"), state: text("state"), text: text("q") };
}

/**
 * The kinds that the manager is asked for; none means all.
 * @param {string[]} chosen keys of families, or kinds
 */
export function kindsOf(chosen) {
  const all = chosen.flatMap((key) => FAMILIES.find((family) => family.key === key)?.kinds ?? [key]);
  return [...new Set(all)];
}

/**
 * What of the filters the manager can apply, as the path of the journal.
 * @param {Filters} filters
 * @param {number} limit
 */
export function journalPath(filters, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  // The steps of operations are read where these are: there are too many of them.
  const kinds = kindsOf(filters.kind.length ? filters.kind : FAMILIES.map((family) => family.key));
  if (kinds.length) query.set("kind", kinds.join(","));
  for (const key of /** @type {const} */ (["service", "machine", "actor", "state"])) {
    if (filters[key]) query.set(key, filters[key]);
  }
  return `/journal?${query}`;
}

/**
 * Whether a live event belongs to what the manager was asked for. The same rules as the journal's.
 * @param {GridEvent} event
 * @param {Filters} filters
 */
export function belongs(event, filters) {
  if (event.passing) return false;
  const kinds = kindsOf(filters.kind);
  const fits = (/** @type {string} */ kind) => (kind.endsWith(".") ? event.kind.startsWith(kind) : event.kind === kind);
  return (
    (!kinds.length || kinds.some(fits)) &&
    (!filters.service || event.service === filters.service) &&
    (!filters.machine || event.machine === filters.machine) &&
    (!filters.actor || event.actor === filters.actor) &&
    (!filters.state || event.data?.state === filters.state)
  );
}

/**
 * Whether the sentence of an event holds every word that is searched for.
 * @param {GridEvent} event
 * @param {string} text
 */
export function mentions(event, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const said = `${event.kind} ${event.machine ?? ""} ${plain(sentence(event))}`.toLowerCase();
  return words.every((word) => said.includes(word));
}

/**
 * Whether anything is filtered.
 * @param {Filters} filters
 */
export const isFiltered = (filters) =>
  filters.kind.length > 0 || [filters.service, filters.machine, filters.actor, filters.state, filters.text].some(Boolean);

// What stands above a list of events: the way to what is newer than what is read, and why it could not be read.

/**
 * A pill that tells how many events wait. Who comes back to the top of the list sees them without it.
 * @param {{feed: Feed, top: () => void}} props `top` scrolls to where new ones appear
 */
export function Newer({ feed, top }) {
  useEffect(() => {
    const onScroll = () => feed.waiting.peek().length > 0 && !feed.missing.peek() && !feed.held() && feed.show();
    addEventListener("scroll", onScroll, { passive: true });
    return () => removeEventListener("scroll", onScroll);
  }, []);
  const newer = () => {
    if (feed.missing.peek()) feed.latest();
    else feed.show();
    top();
  };
  const count = feed.waiting.value.length;
  if (!count && !feed.missing.value) return null;
  return html`<button type="button" class="pill" onClick=${newer}>${feed.missing.value ? "Show the newest" : `${count} new`}</button>`;
}

/**
 * Why events could not be read, and another try.
 * @param {{feed: Feed}} props
 */
export const FeedProblem = ({ feed }) =>
  feed.problem.value && html`<${ProblemNote} problem=${feed.problem.value} /><p><button type="button" onClick=${feed.again}>Try again</button></p>`;
