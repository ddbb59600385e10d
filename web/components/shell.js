// What is around every view: header, ways, banners, dialogs and toasts.

import { call } from "/lib/api.js";
import { interrupted, running } from "/lib/commands.js";
import { effect, html, signal, useComputed, useEffect, useSignal } from "/lib/html.js";
import { arrive, href, route } from "/lib/router.js";
import { leave } from "/lib/session.js";
import { grid, live, me, nextAttempt, onEvent, resets, services } from "/lib/store.js";
import { setTheme, theme, THEMES } from "/lib/theme.js";
import { length } from "/lib/time.js";
import { ProblemNote, Questions, toast, Toasts } from "/components/dialog.js";
import { openHelp, openPalette, Overlays } from "/components/keys.js";
import { Menu } from "/components/menu.js";
import { shownState, stateWord } from "/components/state.js";
import { OTHERS, VIEWS } from "/components/views.js";
import Grid from "/views/grid/grid.js";

/** The views that have been loaded, by path. */
const views = signal(/** @type {Record<string, any>} */ ({ "": Grid }));
const failed = signal(/** @type {Error|null} */ (null));

effect(() => {
  const [path = ""] = route.value.path;
  if (Object.hasOwn(views.value, path)) return;
  // What failed is asked for again when the manager is back.
  live.value.live;
  const load = VIEWS.find((view) => view.path === path)?.load ?? (Object.hasOwn(OTHERS, path) ? OTHERS[path] : undefined);
  failed.value = load === undefined ? new Error("There is no such view.") : null;
  load?.().then(
    (module) => {
      views.value = { ...views.peek(), [path]: module.default };
    },
    () => {
      failed.value = new Error("This view could not be loaded from the manager. It is asked for again when the manager is back; if it does not come then, reload the page.");
    },
  );
});

async function logOut() {
  try {
    await call("DELETE", "/session");
    leave();
  } catch (problem) {
    // Who believes to have logged out walks away from a session that lives.
    if (/** @type {any} */ (problem).status !== 401) {
      toast(`You are still logged in: ${/** @type {Error} */ (problem).message}`, "bad");
    }
  }
}

/** How many operations are under way, or wait for somebody. */
function UnderWay() {
  if (!running.value && !interrupted.value) return null;
  const text = [running.value && `${running} under way`, interrupted.value && `${interrupted} interrupted`].filter(Boolean).join(", ");
  return html`<span class=${`badge${interrupted.value ? " bad" : ""}`} id="under-way" title=${text}><span aria-hidden="true">${running.value + interrupted.value}</span><span class="hidden"> (${text})</span></span>`;
}

function Ways() {
  const [first = ""] = route.value.path;
  const here = first === "services" ? "" : first;
  const views = VIEWS.filter((view) => !view.shown || view.shown());
  const way = (/** @type {import("/lib/types.js").View} */ { path, label, icon, lesser }) =>
    html`<li key=${path} class=${lesser ? "lesser" : ""}>
      <a href=${href(`/${path}`)} aria-current=${here === path ? "page" : null}>
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d=${icon} /></svg>
        <span>${label}</span>${path === "operations" && html`<${UnderWay} />`}
      </a>
    </li>`;
  const lesser = views.filter((view) => view.lesser);
  const inside = lesser.find((view) => view.path === here);
  const more = html`<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M5 12h.01M12 12h.01M19 12h.01" /></svg><span>${inside?.label ?? "More"}</span>`;
  return html`<nav id="ways" aria-label="Views"><ul class="ways">${views.map(way)}
    <li class=${`more-ways${inside ? " here" : ""}`}><${Menu} title="More views" label=${more} choices=${lesser.map(({ path, label }) => ({ label, href: href(`/${path}`), current: path === here }))} /></li></ul></nav>`;
}

function Header() {
  const themes = THEMES.map((name) => ({
    label: name === "system" ? "Colours of the system" : name === "light" ? "Light" : "Dark",
    checked: theme.value === name,
    run: () => setTheme(name),
  }));
  const own = [
    { label: "Account", href: href("/account") },
    { label: "API", href: "/api.html" },
    ...themes,
    { label: "Keyboard shortcuts", run: openHelp },
  ];
  return html`<header id="top">
    <a class="brand" href="#/" aria-label="Grid ${grid.value.name}"><img src="/icon.svg" alt="" width="24" height="24" /> <span id="grid">${grid.value.name}</span></a>
    <${Ways} />
    <span class="gap"></span>
    <${LiveWord} />
    <button type="button" class="find" title="Find and do (Ctrl-K)" onClick=${openPalette}><span>Find</span> <kbd>Ctrl K</kbd></button>
    <${Menu} title="You and this page" className="right" label=${html`<span class="who">${me.value?.name}</span> <small>${me.value?.role}</small>`} choices=${own} />
    <button type="button" id="log-out" title="Log out" onClick=${logOut}>
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d="M10 4H5v16h5M14 8l4 4-4 4M8 12h10" /></svg><span>Log out</span>
    </button>
  </header>`;
}

/**
 * @param {{locked: boolean}} props `locked`: somebody must log in first
 */
export function Shell({ locked }) {
  const [path = ""] = route.value.path;
  const View = Object.hasOwn(views.value, path) ? views.value[path] : undefined;
  useEffect(() => {
    const label = VIEWS.find((view) => view.path === path)?.label ?? route.value.path[1] ?? path;
    document.title = `${path ? `${label} · ` : ""}${grid.value.name} · Tomcat Grid`;
  }, [path, route.value.path[1], grid.value.name]);
  const whole = route.value.path.join("/");
  const there = !!View || !!failed.value;
  useEffect(() => {
    if (there) arrive(whole);
  }, [whole, there]);
  return html`<div id="shell" inert=${locked}>
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} />
    <${ManagerProblems} />
    <${LostBanner} />
    <main id="main" tabindex="-1">
      ${View ? html`<${View} />` : failed.value ? html`<${ProblemNote} problem=${failed.value} />` : html`<p role="status">Loading…</p>`}
    </main>
    <${Questions} />
    <${Overlays} />
    <${Toasts} />
    <${Spoken} />
  </div>`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

// Whether what is shown is live, where everybody sees it; and what changed, for who listens instead of looking.

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
