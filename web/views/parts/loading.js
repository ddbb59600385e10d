// Lists of the API, page by page, and calls whose failure is shown where they were made.

import { call } from "/lib/api.js";
import { batch, effect, useEffect, useRef, useSignal } from "/lib/html.js";
import { live, onEvent, resets } from "/lib/store.js";
/** @import { Act, List } from "/lib/types.js" */

/** @import { Problem } from "/lib/api.js" */
/** @import { Signal } from "/lib/html.js" */

/** The most items of one list that are held. */
const MOST = 2000;

/** The most items of one answer. */
const PART = 1000;

/** How long after one look at a list the next is taken, when events ask for it, in milliseconds. */
const BEAT = 1000;

/**
 * A path that asks for a part of a list.
 * @param {string} path with its `limit`
 * @param {string|null} cursor
 * @param {number} [most]
 */
function partOf(path, cursor, most) {
  const sized = most ? path.replace(/([?&]limit=)\d+/, `$1${most}`) : path;
  return cursor ? `${sized}&cursor=${encodeURIComponent(cursor)}` : sized;
}

/**
 * Reads a list, and again when its path changes, or when events say that it changed.
 * @template T
 * @param {string} path with its filters and `limit`
 * @param {RegExp} [changed] the kinds of events after which it is another
 * @returns {List<T>}
 */
export function useList(path, changed) {
  const items = useSignal(/** @type {T[]} */ ([]));
  const next = useSignal(/** @type {string|null} */ (null));
  const full = useSignal(false);
  const busy = useSignal(false);
  const loaded = useSignal(false);
  const problem = useSignal(/** @type {Problem|null} */ (null));
  const turn = useRef(0);

  /** @param {(mine: number) => Promise<{items: T[], next: string|null}>} read */
  const load = async (read) => {
    const mine = ++turn.current;
    busy.value = true;
    problem.value = null;
    try {
      const all = await read(mine);
      // An answer to an earlier question comes too late.
      if (mine !== turn.current) return;
      batch(() => {
        items.value = all.items.slice(0, MOST);
        full.value = all.items.length >= MOST && all.next !== null;
        next.value = full.peek() ? null : all.next;
        loaded.value = true;
      });
    } catch (error) {
      if (mine === turn.current) problem.value = /** @type {Problem} */ (error);
    } finally {
      if (mine === turn.current) busy.value = false;
    }
  };
  // What is no page is a list of one.
  const first = () => call("GET", path).then((page) => (page.items ? page : { items: [page], next: null }));
  const begin = () => load(first);
  const more = () =>
    load(async () => {
      const page = await call("GET", partOf(path, next.peek()));
      return { items: [...items.peek(), ...page.items], next: page.next };
    });
  const reload = () =>
    load(async (mine) => {
      const held = items.peek().length;
      let all = await first();
      // As many as were shown before, in as few calls as can be.
      while (all.next && all.items.length < held && mine === turn.current) {
        const page = await call("GET", partOf(path, all.next, Math.min(PART, held - all.items.length)));
        all = { items: [...all.items, ...page.items], next: page.next };
      }
      return all;
    });
  useEffect(() => {
    loaded.value = false;
    begin();
    // After a snapshot, as after an outage or a login, what changed in between was not told.
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value !== before) reload();
    });
    // What failed while the manager was away is asked again when it is back.
    const heal = effect(() => {
      if (live.value.live && problem.peek()) reload();
    });
    let timer = 0;
    let last = 0;
    const look = () => {
      timer = 0;
      // Pages that somebody asked for come first.
      if (busy.peek()) return again();
      last = Date.now();
      reload();
    };
    const again = () => {
      timer ||= setTimeout(look, Math.max(50, last + BEAT - Date.now()));
    };
    const deaf = onEvent((event) => {
      if (changed?.test(event.kind)) again();
    });
    return () => {
      turn.current++;
      clearTimeout(timer);
      forget();
      heal();
      deaf();
    };
  }, [path]);
  return { items, next, full, busy, loaded, problem, more, reload };
}

/** @returns {Act} */
export function useAct() {
  const busy = useSignal(false);
  const problem = useSignal(/** @type {Problem|null} */ (null));
  return {
    busy,
    problem,
    run: async (work) => {
      if (busy.peek()) return false;
      busy.value = true;
      problem.value = null;
      try {
        await work();
        return true;
      } catch (error) {
        problem.value = /** @type {Problem} */ (error);
        return false;
      } finally {
        busy.value = false;
      }
    },
  };
}
