// Lists of the API, page by page, and calls whose failure is shown where they were made.

import { call } from "/lib/api.js";
import { effect, useEffect, useRef, useSignal } from "/lib/html.js";
import { resets } from "/lib/store.js";

/** @import { Problem } from "/lib/api.js" */
/** @import { Signal } from "/lib/html.js" */

/** The most items of one list that are held. */
const MOST = 2000;

/**
 * A list of the API as it is shown.
 * @template T
 * @typedef {object} List
 * @property {Signal<T[]>} items
 * @property {Signal<string|null>} next where the next page begins
 * @property {Signal<boolean>} busy
 * @property {Signal<boolean>} loaded whether a first answer came
 * @property {Signal<Problem|null>} problem
 * @property {() => Promise<void>} more fetches the next page
 * @property {() => Promise<void>} reload begins anew; what is shown stays until the answer is there
 */

/**
 * Reads a list, and again when its path changes.
 * @template T
 * @param {string} path with its filters and `limit`
 * @returns {List<T>}
 */
export function useList(path) {
  const items = useSignal(/** @type {T[]} */ ([]));
  const next = useSignal(/** @type {string|null} */ (null));
  const busy = useSignal(false);
  const loaded = useSignal(false);
  const problem = useSignal(/** @type {Problem|null} */ (null));
  const turn = useRef(0);

  /** @param {string|null} cursor */
  const load = async (cursor) => {
    const mine = ++turn.current;
    busy.value = true;
    problem.value = null;
    try {
      const page = await call("GET", cursor ? `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : path);
      // An answer to an earlier question comes too late.
      if (mine !== turn.current) return;
      items.value = cursor ? [...items.peek(), ...page.items].slice(0, MOST) : page.items;
      next.value = items.peek().length < MOST ? page.next : null;
      loaded.value = true;
    } catch (error) {
      if (mine === turn.current) problem.value = /** @type {Problem} */ (error);
    } finally {
      if (mine === turn.current) busy.value = false;
    }
  };
  useEffect(() => {
    loaded.value = false;
    load(null);
    // After a snapshot, as after an outage or a login, what changed in between was not told.
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value !== before) load(null);
    });
    return () => {
      turn.current++;
      forget();
    };
  }, [path]);
  return { items, next, busy, loaded, problem, more: () => load(next.peek()), reload: () => load(null) };
}

/**
 * A call that somebody asks for: whether it is under way, and why the last one failed.
 * @typedef {object} Act
 * @property {Signal<boolean>} busy
 * @property {Signal<Problem|null>} problem
 * @property {(work: () => Promise<unknown>) => Promise<boolean>} run answers whether it went well; one at a time
 */

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
