// Users: who may log in, and what they may do.

import { call } from "/lib/api.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { leave } from "/lib/session.js";
import { can, grid, me } from "/lib/store.js";
import { setTheme, theme, THEMES } from "/lib/theme.js";
import { Time } from "/lib/time.js";
import { confirm, ProblemNote, toast } from "/components/dialog.js";
import { letters, setLetters } from "/components/keys.js";
import { useAct, useList } from "/views/parts/loading.js";
import { Choice, focusHeading, focusOpener, Listing, Page, Secret, Submit, Table, Text, useFirstField, useLoggedOut, useSecrets, valuesOf } from "/views/parts/page.js";

/** @import { List, User } from "/lib/types.js" */

/** @typedef {{user: string, password: string, why: "added" | "reset"}} Shown a password that is shown once */

const ROLES = ["viewer", "operator", "admin"];

/** The characters of a name. */
const NAME = "[A-Za-z0-9._@\\-]{1,64}";

export default function Users() {
  if (!can("manage")) return html`<${Page} title="Users"><p class="nothing">Only admins see users.</p><//>`;
  return html`<${Everybody} />`;
}

function Everybody() {
  const list = /** @type {List<User>} */ (useList("/users?limit=1000", /^(user\.|login$|logout$)/));
  const shown = /** @type {import("/lib/types.js").Secrets<Shown>} */ (useSecrets());
  const adding = useSignal(false);
  // A password that was typed is not for who logs in next.
  useLoggedOut(() => {
    adding.value = false;
  });
  const show = (/** @type {Shown} */ password) => {
    shown.add(password);
    adding.value = false;
  };
  const hide = (/** @type {Shown} */ password) => {
    shown.hide(password);
    focusHeading();
  };
  const close = () => {
    adding.value = false;
    focusOpener();
  };
  const button = html`<button type="button" class="primary" data-open aria-expanded=${adding.value} onClick=${() => (adding.value = !adding.value)}>Add a user…</button>`;
  return html`<${Page} title="Users" about="Who may log in, and what they may do." actions=${button}>
    ${adding.value && html`<${Add} list=${list} show=${show} close=${close} />`}
    ${shown.all.map((password) => html`<${Password} key=${password.password} shown=${password} onDone=${() => hide(password)} />`)}
    <${Listing} list=${list} what="users" empty="No users.">
      <${Table} caption="Users" rows=${list.items.value} keyOf=${(/** @type {User} */ user) => user.name} columns=${columns(list, show)} rowProps=${(/** @type {User} */ user) => ({ "data-user": user.name })} />
    <//>
  <//>`;
}

/** @param {{shown: Shown, onDone: () => void}} props */
function Password({ shown, onDone }) {
  const title = shown.why === "added" ? `The password of the new user ${shown.user}` : `The new password of ${shown.user}`;
  return html`<${Secret} title=${title} label="Copy the password" secret=${shown.password} onDone=${onDone}>
    <p>Give it to ${shown.user} in a safe way. They can change it on their account page.</p>
  <//>`;
}

/** @param {{list: List<User>, show: (shown: Shown) => void, close: () => void}} props */
function Add({ list, show, close }) {
  const act = useAct();
  const form = useFirstField();
  const submit = async (/** @type {SubmitEvent} */ event) => {
    const { name, role, password } = valuesOf(event);
    const done = await act.run(async () => {
      const made = await call("POST", "/users", { name, role, ...(password ? { password } : {}) });
      if (made.password) show({ user: name, password: made.password, why: "added" });
      else close();
      toast(`The user ${name} is added.`, "good");
    });
    if (done) list.reload();
  };
  return html`<form class="panel" ref=${form} onSubmit=${submit} aria-label="Add a user">
    <div class="fields">
      <${Text} label="Name" name="name" required pattern=${NAME} maxlength="64" hint="Letters, digits, and . _ - @" />
      <${Choice} label="Role" name="role" options=${ROLES.map((role) => [role, role])} value="viewer" hint="A viewer looks. An operator also starts, stops, kills and tags. An admin may do everything." />
      <${Text} label="Password" name="password" type="password" minlength="8" maxlength="1024" autocomplete="new-password" hint="Leave it empty: one is made, and shown once." />
    </div>
    <${Submit} act=${act} label="Add the user"><button type="button" onClick=${close}>Cancel</button><//>
  </form>`;
}

/**
 * @param {List<User>} list
 * @param {(shown: Shown) => void} show
 * @returns {import("/lib/types.js").Column<User>[]}
 */
function columns(list, show) {
  const itself = (/** @type {User} */ user) => user.name === me.value?.name;
  return [
    { label: "Name", head: true, cell: (user) => html`${user.name}${itself(user) && html` <span class="quiet">(you)</span>`}` },
    { label: "Role", cell: (user) => html`<${Role} user=${user} list=${list} />` },
    { label: "Last login", cell: (user) => html`<${Time} at=${user.last_login_at} suffix=" ago" />` },
    { label: "Sessions", class: "number", cell: (user) => String(user.sessions) },
    { label: "Password changed", cell: (user) => html`<${Time} at=${user.password_changed_at} suffix=" ago" />` },
    { label: "Added", cell: (user) => html`<span><${Time} at=${user.created_at} as="date" /> ${user.created_by && html`<span class="quiet">by ${user.created_by}</span>`}</span>` },
    { label: "Actions", quiet: true, class: "actions", cell: (user) => html`<${Actions} user=${user} list=${list} show=${show} own=${itself(user)} />` },
  ];
}

/**
 * The role of a user. Another one is chosen first and saved then: arrow keys go through all of them.
 * @param {{user: User, list: List<User>}} props
 */
function Role({ user, list }) {
  const act = useAct();
  const select = useRef(/** @type {HTMLSelectElement|null} */ (null));
  const wanted = useSignal(user.role);
  // Somebody else may change it meanwhile.
  useEffect(() => {
    wanted.value = user.role;
  }, [user.role]);
  const save = async () => {
    const role = wanted.peek();
    const own = user.name === me.value?.name;
    const body = own
      ? `You will be ${role} at once, and cannot undo it by yourself.`
      : `${user.name} will be ${role} instead of ${user.role}, in sessions that are open, too. API tokens of ${user.name} can never do more than that.`;
    if (!(await confirm({ title: `Make ${user.name} ${role}?`, body, action: `Make ${role}`, danger: own }))) return;
    if (!(await act.run(() => call("PATCH", `/users/${encodeURIComponent(user.name)}`, { role })))) return;
    toast(`${user.name} is ${role} now.`, "good");
    await list.reload();
    // The button that had the focus is gone.
    select.current?.focus();
  };
  const cancel = () => {
    wanted.value = user.role;
    select.current?.focus();
  };
  const choose = (/** @type {any} */ event) => {
    wanted.value = event.currentTarget.value;
  };
  return html`<div class="row-actions">
    <select ref=${select} data-action="user-role" aria-label=${`Role of ${user.name}`} value=${wanted.value} onChange=${choose}>${ROLES.map((role) => html`<option key=${role} value=${role}>${role}</option>`)}</select>
    ${wanted.value !== user.role && html`<button type="button" data-action="user-role-save" class="primary" disabled=${act.busy.value} aria-label=${`Save: make ${user.name} ${wanted.value}`} onClick=${save}>Save…</button>
      <button type="button" aria-label=${`Cancel: ${user.name} stays ${user.role}`} onClick=${cancel}>Cancel</button>`}
    <${ProblemNote} problem=${act.problem.value} />
  </div>`;
}

/** @param {{user: User, list: List<User>, show: (shown: Shown) => void, own: boolean}} props */
function Actions({ user, list, show, own }) {
  const act = useAct();
  const path = `/users/${encodeURIComponent(user.name)}`;
  const { name } = user;
  const reset = async () => {
    const body = `A new password is made and shown once. ${name} is logged out everywhere.`;
    if (!(await confirm({ title: `Reset the password of ${name}?`, body, action: "Reset the password" }))) return;
    await act.run(async () => {
      const made = await call("POST", `${path}/password`, {});
      if (made.password) show({ user: name, password: made.password, why: "reset" });
    });
    list.reload();
  };
  const logOut = async () => {
    const body = `Every session of ${name} ends at once. API tokens stay good.`;
    if (!(await confirm({ title: `Log ${name} out everywhere?`, body, action: "Log out" }))) return;
    if (await act.run(() => call("DELETE", `${path}/sessions`))) toast(`${name} is logged out everywhere.`, "good");
    list.reload();
  };
  const remove = async () => {
    const body = `${name} cannot log in any more. Their sessions and API tokens go with them; what they did stays in the audit.`;
    if (!(await confirm({ title: `Remove the user ${name}?`, body, action: "Remove", danger: true }))) return;
    if (!(await act.run(() => call("DELETE", path)))) return;
    toast(`The user ${name} is removed.`, "good");
    await list.reload();
    focusHeading();
  };
  if (own) return html`<a href="#/account">Your account</a>`;
  return html`<div class="row-actions">
    <button type="button" data-action="user-reset" aria-label=${`Reset password of ${name}`} onClick=${reset}>Reset password…</button>
    ${user.sessions > 0 && html`<button type="button" data-action="user-log-out" aria-label=${`Log out ${name} everywhere`} onClick=${logOut}>Log out…</button>`}
    <button type="button" data-action="user-remove" class="danger-text" aria-label=${`Remove the user ${name}`} onClick=${remove}>Remove…</button>
    <${ProblemNote} problem=${act.problem.value} />
  </div>`;
}

// One's own account: who one is, password, sessions, and how the page looks.

/** What each role may do, in words. */
const MAY = {
  viewer: "You see everything but access, and change nothing.",
  operator: "You may start, stop, kill and tag.",
  admin: "You may do everything.",
};

export function Account() {
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
    ${session && html`<${OwnPassword} name=${who.name} />`}
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
function OwnPassword({ name }) {
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
