// Begins: asks who is there, and shows the login or the grid.

import { loggedOut } from "/lib/api.js";
import { effect, html, render, signal } from "/lib/html.js";
import { loaded, me } from "/lib/store.js";
import { start, stop } from "/lib/stream.js";
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

function onLogin() {
  asking.value = false;
  start();
}

function Page() {
  // The last view stays behind the login: who comes back finds it as it was.
  return html`${loaded.value && me.value && html`<${Shell} locked=${asking.value} />`}
    ${asking.value && html`<${Login} onLogin=${onLogin} over=${loaded.value} />`}
    ${!asking.value && !loaded.value && html`<p id="waiting" role="status">Asking the manager…</p>`}`;
}

const root = document.getElementById("app");
if (root) render(html`<${Page} />`, root);
start();
