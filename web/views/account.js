// One's own account: who one is, password, sessions, and how the page looks.

import { call } from "/lib/api.js";
import { html, useRef, useSignal } from "/lib/html.js";
import { leave } from "/lib/session.js";
import { grid, me } from "/lib/store.js";
import { THEMES, setTheme, theme } from "/lib/theme.js";
import { Time } from "/lib/time.js";
import { confirm, ProblemNote, toast } from "/components/dialog.js";
import { letters, setLetters } from "/components/keys.js";
import { Page, Submit, Text, useLoggedOut, valuesOf } from "/views/parts/page.js";
import { useAct } from "/views/parts/loading.js";

/** What each role may do, in words. */
const MAY = {
  viewer: "You see everything but access, and change nothing.",
  operator: "You may start, stop, kill and tag.",
  admin: "You may do everything.",
};

export default function Account() {
  const who = me.value;
  if (!who) return null;
  const session = who.credential === "session";
  return html`<${Page} title="Your account" class="narrow">
    <section class="panel" aria-labelledby="who">
      <h2 id="who">${who.name}</h2>
      <dl class="facts">
        <div><dt>Role</dt><dd>${who.role} <span class="quiet">${MAY[who.role]}</span></dd></div>
        <div><dt>Logged in by</dt><dd>${{ session: "a session of this browser", token: "an API token", socket: "the Unix socket" }[who.credential]}</dd></div>
        ${who.expires_at && html`<div><dt>Until</dt><dd><${Time} at=${who.expires_at} as="date" /></dd></div>`}
        ${who.targets && html`<div><dt>Only for</dt><dd>${who.targets.join(", ")}</dd></div>`}
        <div><dt>Grid</dt><dd>${who.grid}</dd></div>
        <div><dt>Manager</dt><dd>${grid.value.manager.name || "?"}, version ${who.version ?? grid.value.manager.version}</dd></div>
      </dl>
    </section>
    <section class="panel" aria-labelledby="look"><h2 id="look">Colours</h2><${Colours} /></section>
    <section class="panel" aria-labelledby="keys"><h2 id="keys">Keyboard</h2>
      <label class="check"><input type="checkbox" checked=${letters.value} onChange=${() => setLetters(!letters.peek())} /> Keys of one character do something, such as j, x and /</label>
    </section>
    ${session && html`<${Password} name=${who.name} />`}
    ${session && html`<${Everywhere} />`}
  <//>`;
}

/** What the choices of colours are called. */
const COLOURS = { system: "As the system has it", light: "Light", dark: "Dark" };

function Colours() {
  const choice = (/** @type {import("/lib/theme.js").Theme} */ name) =>
    html`<label key=${name} class="check"><input type="radio" name="theme" checked=${theme.value === name} onChange=${() => setTheme(name)} /> ${COLOURS[name]}</label>`;
  return html`<fieldset class="choices"><legend class="only-read">Colours</legend>${THEMES.map(choice)}</fieldset>`;
}

/** @param {{name: string}} props */
function Password({ name }) {
  const act = useAct();
  const wrong = useSignal("");
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  useLoggedOut(() => form.current?.reset());
  const submit = async (/** @type {SubmitEvent} */ event) => {
    const { old, new: fresh, again } = valuesOf(event);
    wrong.value = fresh === again ? "" : "The two new passwords are not the same.";
    if (wrong.value) return;
    if (!(await act.run(() => call("PUT", "/me/password", { old, new: fresh })))) return;
    form.current?.reset();
    toast("Your password is changed. Your other sessions have ended.", "good");
  };
  return html`<form class="panel" onSubmit=${submit} ref=${form} aria-labelledby="password">
    <h2 id="password">Change the password</h2>
    <input class="only-read" type="text" name="username" autocomplete="username" value=${name} readonly tabindex="-1" aria-hidden="true" />
    <div class="fields column">
      <${Text} label="Old password" name="old" type="password" required autocomplete="current-password" />
      <${Text} label="New password" name="new" type="password" required minlength="8" maxlength="1024" autocomplete="new-password" hint="At least 8 characters." />
      <${Text} label="New password again" name="again" type="password" required autocomplete="new-password" />
    </div>
    ${wrong.value && html`<p class="problem" role="alert">${wrong.value}</p>`}
    <${Submit} act=${act} label="Change the password" />
  </form>`;
}

function Everywhere() {
  const act = useAct();
  const logOut = async () => {
    const body = "All your sessions end at once, this one included. API tokens stay good.";
    if (!(await confirm({ title: "Log out everywhere?", body, action: "Log out everywhere" }))) return;
    if (await act.run(() => call("DELETE", "/me/sessions"))) leave();
  };
  return html`<section class="panel" aria-labelledby="sessions">
    <h2 id="sessions">Sessions</h2>
    <p>When you forgot to log out somewhere, or believe that somebody uses a session of yours.</p>
    <${ProblemNote} problem=${act.problem.value} />
    <button type="button" onClick=${logOut}>Log out everywhere…</button>
  </section>`;
}
