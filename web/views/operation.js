// An operation as it goes on: asked for once, then followed by events.

import { call, pages } from "/lib/api.js";
import { batch, effect, useEffect, useSignal } from "/lib/html.js";
import { live, onEvent, resets } from "/lib/store.js";
import { childrenOf, newer } from "/lib/steps.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { GridEvent, LogLine, Operation, Step } from "/lib/types.js" */

/**
 * @typedef {object} Live
 * @property {Signal<Operation|null>} operation
 * @property {Signal<Step[]>} steps by number; another array when any of them changed
 * @property {Signal<number[][]>} children
 * @property {Signal<LogLine[]>} log
 * @property {Signal<boolean>} cut whether the log has more lines than are held
 * @property {Signal<any>} problem
 */

/** The most entries of a log that are held. */
const MOST = 5000;

/** How often changes are drawn, in milliseconds. */
const BEAT = 120;

/** How often one that goes on is compared with the manager's, in milliseconds: what was missed is found so. */
const CHECK = 15_000;

/**
 * @param {string} id
 * @returns {Live}
 */
export function useOperation(id) {
  const operation = useSignal(/** @type {Operation|null} */ (null));
  const steps = useSignal(/** @type {Step[]} */ ([]));
  const children = useSignal(/** @type {number[][]} */ ([]));
  const log = useSignal(/** @type {LogLine[]} */ ([]));
  const cut = useSignal(false);
  const problem = useSignal(/** @type {any} */ (null));
  useEffect(() => {
    let gone = false;
    let turn = 0;
    let timer = 0;
    /** @type {GridEvent[]} */
    let waiting = [];
    const path = `/operations/${encodeURIComponent(id)}`;
    const flush = () => {
      timer = 0;
      if (gone || !operation.peek()) return;
      const events = waiting;
      waiting = [];
      if (!events.length) return;
      const next = steps.peek().slice();
      /** @type {LogLine[]} */
      const written = [];
      batch(() => {
        for (const { kind, data } of events) {
          if (kind === "operation.state") operation.value = data;
          else if (kind === "operation.log") written.push(data.line);
          else if (next[data.step.number] && newer(next[data.step.number], data.step)) next[data.step.number] = data.step;
        }
        steps.value = next;
        if (written.length) add(written);
        const now = operation.peek();
        // What was told between two states of the whole is counted here.
        if (now && now.state !== "ended") operation.value = { ...now, services: count(next) };
      });
    };
    const add = (/** @type {LogLine[]} */ fresh) => {
      const known = log.peek();
      const last = known.at(-1)?.number ?? 0;
      const news = fresh.filter((line) => line.number > last);
      if (known.length + news.length > MOST) cut.value = true;
      log.value = [...known, ...news].slice(-MOST);
    };
    const load = async () => {
      const mine = ++turn;
      try {
        const { steps: all, ...one } = await call("GET", path);
        /** @type {LogLine[]} */
        const lines = [];
        for await (const page of pages(`${path}/log?limit=1000`)) {
          lines.push(...page);
          if (mine !== turn || lines.length >= MOST) break;
        }
        if (gone || mine !== turn) return;
        batch(() => {
          problem.value = null;
          operation.value = one;
          if (children.peek().length !== all.length) children.value = childrenOf(all);
          steps.value = all;
          log.value = lines.slice(0, MOST);
          cut.value = lines.length >= MOST;
        });
        flush();
      } catch (error) {
        if (mine === turn) problem.value = error;
      }
    };
    const deaf = onEvent((event) => {
      const about = event.kind === "operation.state" ? event.data?.id : event.kind.startsWith("operation.") ? event.data?.operation : "";
      if (about !== id) return;
      waiting.push(event);
      timer ||= setTimeout(flush, BEAT);
      // Its end has words and numbers that steps do not tell.
      if (event.kind === "operation.state" && event.data.state === "ended") load();
    });
    load();
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value !== before) load();
    });
    const heal = effect(() => {
      if (live.value.live && problem.peek()?.status === 0) load();
    });
    const check = setInterval(() => {
      const state = operation.peek()?.state;
      if (live.peek().live && state && state !== "ended" && state !== "interrupted") load();
    }, CHECK);
    return () => {
      gone = true;
      turn++;
      clearTimeout(timer);
      clearInterval(check);
      deaf();
      forget();
      heal();
    };
  }, [id]);
  return { operation, steps, children, log, cut, problem };
}

/** How many services are how far. @param {Step[]} steps */
function count(steps) {
  const counts = { total: 0, planned: 0, running: 0, done: 0, ignored: 0, failed: 0, skipped: 0 };
  for (const { kind, state } of steps) {
    if (kind !== "service") continue;
    counts.total++;
    counts[Object.hasOwn(counts, state) ? /** @type {keyof typeof counts} */ (state) : "failed"]++;
  }
  return counts;
}
