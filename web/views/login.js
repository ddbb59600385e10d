// Logging in, alone or over the view whose session has ended.

import { call } from "/lib/api.js";
import { html, useEffect, useRef, useSignal } from "/lib/html.js";
import { me } from "/lib/store.js";

/**
 * @param {{onLogin: (name: string) => void, over: boolean}} props `over`: a view is behind it
 */
export function Login({ onLogin, over }) {
  const error = useSignal("");
  const busy = useSignal(false);
  const form = useRef(/** @type {HTMLFormElement|null} */ (null));
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const known = me.value?.name ?? "";
  useEffect(() => {
    const dialog = box.current;
    // Over whatever else is open, too.
    if (dialog instanceof HTMLDialogElement) dialog.showModal();
    const first = form.current?.elements.namedItem(known ? "password" : "name");
    if (first instanceof HTMLElement) first.focus();
  }, []);
  const onSubmit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (form.current));
    error.value = "";
    busy.value = true;
    try {
      await call("POST", "/session", { name: data.get("name"), password: data.get("password") });
      onLogin(String(data.get("name")));
    } catch (problem) {
      const { message, retryAfter } = /** @type {any} */ (problem);
      error.value = retryAfter ? `${message} Try again in ${retryAfter} s.` : message;
      const password = form.current?.elements.namedItem("password");
      if (password instanceof HTMLInputElement) password.select();
    } finally {
      busy.value = false;
    }
  };
  const Box = over ? "dialog" : "main";
  return html`<${Box} ref=${box} class=${over ? "login over" : "login"} aria-label="Log in" onCancel=${(/** @type {Event} */ event) => event.preventDefault()}>
    ${!over && html`<h1 class="hidden">Tomcat Grid</h1>`}
    <form id="login" ref=${form} onSubmit=${onSubmit} aria-labelledby="login-title">
      <p class="brand"><img src="/icon.svg" alt="" width="28" height="28" /> Tomcat Grid</p>
      <h2 id="login-title">Log in</h2>
      ${over && html`<p>Your session has ended. Log in to go on where you were.</p>`}
      <label class="field">User name <input name="name" autocomplete="username" autocapitalize="none" spellcheck=${false} required defaultValue=${known} /></label>
      <label class="field">Password <input name="password" type="password" autocomplete="current-password" required /></label>
      <button type="submit" class="primary" disabled=${busy.value}>Log in</button>
      <p id="login-error" class="problem" role="alert">${error}</p>
    </form>
  <//>`;
}
