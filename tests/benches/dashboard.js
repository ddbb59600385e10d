// Runs in the page that is measured, before the page's own scripts.

const bench = { firstRows: 0, expected: null, touched: [] };
globalThis.bench = bench;

const wall = () => performance.timeOrigin + performance.now();

/** Resolves when the next frame has been drawn, to when that was. */
const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(wall()))));

new MutationObserver((records) => {
  if (!bench.firstRows && document.querySelector("[data-service][data-state]")) {
    bench.firstRows = -1;
    drawn().then((at) => (bench.firstRows = at - performance.timeOrigin));
  }
  const { expected } = bench;
  if (!expected || expected.seen) return;
  const row = document.querySelector(`[data-service="${expected.name}"]`);
  if (row?.dataset.state !== expected.state) return;
  expected.seen = wall();
  const rows = records.map(({ target }) => (target instanceof Element ? target : target.parentElement)?.closest("[data-service]"));
  bench.touched.push(new Set(rows.filter(Boolean)).size);
  drawn().then((at) => expected.done({ seen: expected.seen, drawn: at }));
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });

/** Begins to wait until a service's row is in a state. */
bench.expect = (name, state) => {
  const expected = { name, state, seen: 0, done: () => {} };
  const late = new Promise((done) => setTimeout(() => done(null), 5000));
  expected.result = Promise.race([new Promise((done) => (expected.done = done)), late]);
  bench.expected = expected;
};

/** The services whose rows are wholly in the window, and active. */
bench.visible = () =>
  [...document.querySelectorAll('[data-service][data-state="active"]')]
    .filter((row) => {
      const { top, bottom } = row.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    })
    .map((row) => row.dataset.service);

bench.rows = () => document.querySelectorAll("[data-service][data-state]").length;

/** What scrolls: the list, what is around it, or the window. */
const scroller = () => {
  let at = document.querySelector("[data-list]") ?? document.querySelector("[data-service]");
  for (; at; at = at.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(at).overflowY) && at.scrollHeight > at.clientHeight) return at;
  }
  return document.scrollingElement;
};

/** Measures the time between frames while something is done in each of them, for a while in milliseconds. */
bench.frames = (millis, step) =>
  new Promise((done) => {
    const found = { deltas: [], mostRows: 0, empty: 0, long: 0 };
    const watch = new PerformanceObserver((list) => (found.long += list.getEntries().length));
    watch.observe({ type: "longtask" });
    const begin = performance.now();
    let last = 0;
    const frame = (now) => {
      if (last) found.deltas.push(now - last);
      last = now;
      found.mostRows = Math.max(found.mostRows, bench.rows());
      const middle = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
      if (!middle?.closest("[data-service], [data-group], [role=row], h2")) found.empty += 1;
      if (performance.now() - begin < millis) {
        step(now - begin);
        requestAnimationFrame(frame);
      } else {
        watch.disconnect();
        done(found);
      }
    };
    requestAnimationFrame(frame);
  });

bench.idle = () => bench.frames(2000, () => {});

/** Scrolls to the end and back, slowly and then in great leaps. */
bench.scroll = async () => {
  const box = scroller();
  const end = box.scrollHeight - box.clientHeight;
  const found = await bench.frames(4000, (at) => {
    const turn = at < 2000 ? at / 2000 : ((at - 2000) % 500) / 500;
    box.scrollTop = end * (1 - Math.abs(1 - 2 * turn));
  });
  box.scrollTop = 0;
  return { ...found, end };
};

/** Types into the search as a person does, a letter in each 120 ms. */
bench.filter = async () => {
  const field = document.querySelector("#search");
  if (!field) return null;
  const texts = ["shop", "", "web-42", "", "state:active api", "", "no such thing", ""];
  const keys = texts.flatMap((text) => (text ? [...text].map((_, at) => text.slice(0, at + 1)) : [""]));
  let next = 0;
  const found = await bench.frames(keys.length * 120 + 500, (at) => {
    if (next >= keys.length || at < next * 120) return;
    // As the browser does it; a library may have put its own setter in the way.
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, keys[next++]);
    field.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  return found;
};
