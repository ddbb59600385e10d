// A long list of which only what is seen is in the document. The window scrolls, not the list.

import { html, useEffect, useRef, useSignal } from "/lib/html.js";

/** How many lines are rendered beyond each edge of the window, if nothing else is said. */
const BEYOND = 12;

/** Scrolling by less than so many lines renders nothing, where enough of them lie beyond the edge. */
const STEP = 4;

/** How many lines are rendered beyond each edge while one scrolls by more than half a window at once: none is seen long. */
const BEYOND_FAST = 2;

/** After which time without such a jump all are rendered again, in milliseconds. */
const CALM = 120;

/**
 * @typedef {object} Line
 * @property {string} key
 * @property {number} height in pixels
 */

/**
 * Where each line begins, and where the last one ends.
 * @param {Line[]} lines
 */
export function offsets(lines) {
  const tops = new Array(lines.length + 1);
  tops[0] = 0;
  for (let i = 0; i < lines.length; i++) tops[i + 1] = tops[i] + lines[i].height;
  return tops;
}

/**
 * The line at a height.
 * @param {number[]} tops
 * @param {number} y
 */
export function lineAt(tops, y) {
  let low = 0;
  let high = tops.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

/**
 * Renders the lines that are seen, and the one at `keep`, so that it does not lose the focus.
 * @param {{lines: Line[], keep?: number, beyond?: number, render: (line: any, index: number) => any, attributes?: Record<string, any>}} props
 */
export function Virtual({ lines, keep = -1, beyond = BEYOND, render, attributes = {} }) {
  const ref = useRef(/** @type {HTMLDivElement|null} */ (null));
  const seen = useSignal("0 0");
  const tops = useRef({ lines: /** @type {Line[]} */ ([]), tops: [0] });
  if (tops.current.lines !== lines) tops.current = { lines, tops: offsets(lines) };

  // Where the list begins in the document. It is measured when something has changed its size, not while scrolling:
  // asking for it makes the browser lay out the page at once.
  const start = useRef(0);
  const beyondNow = useRef(beyond);
  beyondNow.current = beyond;
  const speed = useRef({ at: scrollY, calm: 0 });
  const settle = () => {
    speed.current.calm = 0;
    look();
  };
  const look = () => {
    const above = scrollY - start.current;
    const run = speed.current;
    if (Math.abs(scrollY - run.at) > innerHeight / 2) {
      clearTimeout(run.calm);
      run.calm = setTimeout(settle, CALM);
    }
    run.at = scrollY;
    const margin = run.calm ? Math.min(BEYOND_FAST, beyondNow.current) : beyondNow.current;
    const all = tops.current.tops;
    const first = lineAt(all, above);
    const last = lineAt(all, above + innerHeight);
    const step = margin > STEP ? STEP : 1;
    const from = Math.floor(first / step) * step - margin;
    seen.value = `${Math.max(0, from)} ${Math.floor(last / step) * step + step + margin}`;
  };
  useEffect(() => {
    const measure = () => {
      if (ref.current) start.current = ref.current.getBoundingClientRect().top + scrollY;
      look();
    };
    const sizes = new ResizeObserver(measure);
    sizes.observe(document.body);
    measure();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", measure);
    return () => {
      sizes.disconnect();
      clearTimeout(speed.current.calm);
      removeEventListener("scroll", look);
      removeEventListener("resize", measure);
    };
  }, []);
  useEffect(look, [lines, beyond]);

  const [first, last] = seen.value.split(" ").map(Number);
  const shown = [];
  for (let i = first; i < Math.min(last, lines.length); i++) shown.push(i);
  if (keep >= 0 && keep < lines.length && (keep < first || keep >= last)) shown.push(keep);
  const place = (/** @type {number} */ i) => render({ ...lines[i], top: tops.current.tops[i] }, i);
  return html`<div ref=${ref} class="virtual" style=${{ height: `${tops.current.tops[lines.length]}px` }} ...${attributes}>${shown.map(place)}</div>`;
}

/**
 * Scrolls so that a part of a list is seen, below what sticks to the top and above what sticks to the bottom.
 * @param {Element} box the list
 * @param {number} top
 * @param {number} height
 */
export function reveal(box, top, height) {
  const style = getComputedStyle(document.documentElement);
  const over = parseFloat(style.scrollPaddingTop) || 0;
  const under = parseFloat(style.scrollPaddingBottom) || 0;
  const y = box.getBoundingClientRect().top + top;
  if (y < over) scrollBy(0, y - over);
  else if (y + height > innerHeight - under) scrollBy(0, y + height - innerHeight + under);
}
