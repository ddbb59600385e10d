// What is around every view: header, ways, banners, dialogs and toasts.

import { call } from "/lib/api.js";
import { effect, html, signal, useEffect } from "/lib/html.js";
import { arrive, href, route } from "/lib/router.js";
import { interrupted, running } from "/lib/commands.js";
import { leave } from "/lib/session.js";
import { grid, me } from "/lib/store.js";
import { THEMES, setTheme, theme } from "/lib/theme.js";
import { LiveWord, LostBanner, ManagerProblems, Spoken } from "/components/connection.js";
import { ProblemNote, Questions, toast, Toasts } from "/components/dialog.js";
import { Overlays, openHelp, openPalette } from "/components/keys.js";
import { Menu } from "/components/menu.js";
import { OTHERS, VIEWS } from "/components/views.js";
import Grid from "/views/grid/grid.js";

/** The views that have been loaded, by path. */
const views = signal(/** @type {Record<string, any>} */ ({ "": Grid }));
const failed = signal(/** @type {Error|null} */ (null));

effect(() => {
  const [path = ""] = route.value.path;
  if (Object.hasOwn(views.value, path)) return;
  const load = VIEWS.find((view) => view.path === path)?.load ?? (Object.hasOwn(OTHERS, path) ? OTHERS[path] : undefined);
  failed.value = load === undefined ? new Error("There is no such view.") : null;
  load?.().then(
    (module) => {
      views.value = { ...views.peek(), [path]: module.default };
    },
    () => {
      failed.value = new Error("This view could not be loaded from the manager. Reload the page.");
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
  const way = (/** @type {import("/components/views.js").View} */ { path, label, icon, lesser }) =>
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
