// An operation as it goes on: followed by its own stream, which begins with the whole.

import { call, pages } from "/lib/api.js";
import { batch, effect, useEffect, useSignal } from "/lib/html.js";
import { childrenOf, newer } from "/lib/steps.js";
import { live, onEvent, resets } from "/lib/store.js";

/** @import { Signal } from "/lib/html.js" */
/** @import { Live, LogLine, Operation, Step } from "/lib/types.js" */

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
    /** @type {[string, any][]} */
    let waiting = [];
    /** @type {EventSource|null} */
    let source = null;
    const path = `/operations/${encodeURIComponent(id)}`;
    const flush = () => {
      timer = 0;
      if (gone || !operation.peek()) return;
      const all = waiting;
      waiting = [];
      if (!all.length) return;
      const next = steps.peek().slice();
      /** @type {LogLine[]} */
      const written = [];
      batch(() => {
        for (const [news, data] of all) {
          if (news === "operation") operation.value = data;
          else if (news === "log") written.push(data);
          else if (next[data.number] && newer(next[data.number], data)) next[data.number] = data;
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
    /** @param {any} [whole] what was just told */
    const load = async (whole) => {
      const mine = ++turn;
      try {
        const { steps: all, ...one } = whole ?? (await call("GET", path));
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
    const leave = () => {
      source?.close();
      source = null;
    };
    const follow = () => {
      leave();
      const from = new EventSource(`/api/v1${path}/stream`);
      source = from;
      from.onmessage = (message) => {
        const { news, ...data } = JSON.parse(message.data);
        if (news === "whole") {
          load(data);
          return;
        }
        waiting.push([news, data]);
        timer ||= setTimeout(flush, BEAT);
        if (news !== "operation" || !isStill(data)) return;
        leave();
        // Its end has words and numbers that steps do not tell.
        load();
      };
      from.onerror = () => {
        if (from.readyState !== EventSource.CLOSED || source !== from) return;
        source = null;
        // It says why.
        load();
      };
    };
    const deaf = onEvent(({ kind, data }) => {
      // It was resumed.
      if (kind === "operation.state" && data?.id === id && !isStill(data) && !source) follow();
    });
    follow();
    const before = resets.peek();
    const forget = effect(() => {
      if (resets.value !== before) follow();
    });
    let lost = false;
    const heal = effect(() => {
      if (!live.value.live) lost = true;
      else if (lost) {
        lost = false;
        follow();
      }
    });
    const check = setInterval(() => {
      const one = operation.peek();
      if (!live.peek().live || !one || isStill(one)) return;
      if (source) load();
      else follow();
    }, CHECK);
    return () => {
      gone = true;
      turn++;
      leave();
      clearTimeout(timer);
      clearInterval(check);
      deaf();
      forget();
      heal();
    };
  }, [id]);
  return { operation, steps, children, log, cut, problem };
}

/** Whether nothing more happens to it by itself. @param {Operation} operation */
const isStill = ({ state }) => state === "ended" || state === "interrupted";

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
