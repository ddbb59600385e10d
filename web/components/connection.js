// Whether what is shown is live, where everybody sees it; and what changed, for who listens instead of looking.

import { effect, html, signal, useComputed, useEffect, useSignal } from "/lib/html.js";
import { grid, live, onEvent, resets, services } from "/lib/store.js";
import { nextAttempt } from "/lib/stream.js";
import { length } from "/lib/time.js";
import { shownState, stateWord } from "/components/state.js";

/** How often changes are summed up aloud, in milliseconds. */
const ALOUD = 5000;

/** What changed, summed up. */
const spoken = signal("");

let lost = false;
effect(() => {
  if (live.value.live && lost) spoken.value = "Live again.";
  lost = !live.value.live && resets.peek() > 0;
  document.body.classList.toggle("stale", !live.value.live);
});

/**
 * A time, with its date if that is not of the last day.
 * @param {Date} at
 */
function when(at) {
  return Date.now() - at.getTime() < 86_400_000 ? at.toLocaleTimeString() : at.toLocaleString();
}

/** The word in the header. What screen readers hear of it is the banner, and that it is live again. */
export function LiveWord() {
  const { live: yes, since } = live.value;
  const text = yes ? "live" : `Not live since ${when(since)}`;
  return html`<p id="live" data-live=${yes ? "yes" : "no"}><span class="dot" aria-hidden="true"></span>${text}</p>`;
}

/** The banner while the connection is lost. */
export function LostBanner() {
  const { live: yes, since } = live.value;
  const shown = useSignal(false);
  useEffect(() => {
    // The moment between a page's opening and its stream is no loss.
    const timer = setTimeout(() => {
      shown.value = true;
    }, 1500);
    shown.value = false;
    return () => clearTimeout(timer);
  }, [yes]);
  if (yes || !shown.value) return null;
  return html`<div class="banner bad">
    <p role="alert"><b>Not live:</b> the manager has not been heard from since ${when(since)}. What is shown is what was last known.</p>
    <${Countdown} since=${since} />
  </div>`;
}

/** @param {{since: Date}} props */
function Countdown({ since }) {
  const clock = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      clock.value = Date.now();
    }, 500);
    return () => clearInterval(timer);
  }, []);
  const text = useComputed(() => {
    const lost = `Lost for ${length(clock.value - since.getTime())}.`;
    const wait = nextAttempt.value === null ? 0 : nextAttempt.value - clock.value;
    return wait > 0 ? `${lost} Next attempt in ${Math.ceil(wait / 1000)} s.` : `${lost} Trying again…`;
  });
  return html`<p aria-hidden="true">${text}</p>`;
}

/** What the manager says is wrong with itself. */
export function ManagerProblems() {
  const { problems } = grid.value.manager;
  if (!problems.length) return null;
  return html`<div class="banner bad" role="alert"><ul id="problems">${problems.map((text) => html`<li key=${text}>${text}</li>`)}</ul></div>`;
}

/** @type {Map<string, import("/components/state.js").Shown>} */
const changed = new Map();
let timer = 0;

function speak() {
  timer = 0;
  const counts = new Map();
  for (const state of changed.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const names = [...changed.keys()];
  const words = [...counts].map(([state, count]) => `${count} ${stateWord(state)}`).join(", ");
  spoken.value = names.length === 1 ? `${names[0]} is ${words.replace(/^1 /, "")}` : `${names.length} services changed: ${words}`;
  changed.clear();
}

/** The state of each service as it was told last. @type {Map<string, import("/components/state.js").Shown>} */
const told = new Map();

effect(() => {
  resets.value;
  told.clear();
  for (const [name, held] of services.peek()) told.set(name, shownState(held.peek()));
});

onEvent((event) => {
  if (event.kind !== "service.state") return;
  const { name } = event.data;
  const state = shownState(event.data);
  // What has other words for the same state is not read out.
  if (told.get(name) === state) return;
  told.set(name, state);
  changed.set(name, state);
  if (!timer) timer = setTimeout(speak, ALOUD);
});

/** What screen readers hear. */
export function Spoken() {
  return html`<p class="hidden" aria-live="polite" id="spoken">${spoken}</p>`;
}
