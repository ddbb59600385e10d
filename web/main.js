// Begins: asks who is there, and shows the login or the grid.

import { loggedOut } from "/lib/api.js";
import { effect, html, render, signal } from "/lib/html.js";
import { forget, loaded, me, problem, start, stop } from "/lib/store.js";
import { Shell } from "/components/shell.js";
import { Login } from "/views/login.js";

/** Whether somebody must log in before anything goes on. */
const asking = signal(false);

let times = loggedOut.peek();
effect(() => {
  if (loggedOut.value === times) return;
  times = loggedOut.value;
  asking.value = true;
  stop();
});

/** @param {string} name */
function onLogin(name) {
  // What one had open is not for another.
  if (me.peek() && me.peek()?.name !== name) forget();
  asking.value = false;
  start();
}

/** Before the first answer. */
function Waiting() {
  if (!problem.value) return html`<p id="waiting" role="status">Asking the manager…</p>`;
  return html`<p id="waiting" role="alert">${problem.value.message} It is asked again every second.</p>`;
}

function Page() {
  // The last view stays behind the login: who comes back finds it as it was.
  return html`${loaded.value && me.value && html`<${Shell} locked=${asking.value} />`}
    ${asking.value && html`<${Login} onLogin=${onLogin} over=${loaded.value} />`}
    ${!asking.value && !loaded.value && html`<${Waiting} />`}`;
}

const root = document.getElementById("app");
if (root) render(html`<${Page} />`, root);
start();
