// What keys do everywhere; the palette and the help are loaded when they are first asked for.

import { html, signal } from "/lib/html.js";
import { clear } from "/lib/selection.js";
import { go } from "/lib/router.js";
import { VIEWS } from "/components/views.js";

/** How long `g` waits for its second key, in milliseconds. */
const WAIT = 1500;

/** Whether keys without Ctrl or Cmd that write something do something; remembered in this browser. */
export const letters = signal(stored() !== "off");

function stored() {
  try {
    return localStorage.getItem("letters");
  } catch {
    return null;
  }
}

/**
 * Turns the keys of one character on or off.
 * @param {boolean} on
 */
export function setLetters(on) {
  letters.value = on;
  try {
    if (on) localStorage.removeItem("letters");
    else localStorage.setItem("letters", "off");
  } catch {
    // It holds for this page then.
  }
}

/** Which overlay is open. */
const overlay = signal(/** @type {""|"palette"|"help"} */ (""));
/** The overlays, when they have been loaded. */
const loaded = signal(/** @type {Record<string, any>} */ ({}));

/** @param {"palette"|"help"} name */
async function open(name) {
  overlay.value = name;
  if (loaded.peek().help) return;
  const { default: palette, Shortcuts: help } = await import("/components/palette.js");
  loaded.value = { palette, help };
}

/** Opens the palette. */
export const openPalette = () => open("palette");

/** Opens the help on keys. */
export const openHelp = () => open("help");

/** Where palette and help appear; the shell has one. */
export function Overlays() {
  const Shown = loaded.value[overlay.value];
  const close = () => {
    overlay.value = "";
  };
  return Shown ? html`<${Shown} onClose=${close} />` : null;
}

/**
 * The keys of the view that is shown: `key -> what to do`. A view sets it, and takes it away.
 * @type {import("/lib/html.js").Signal<Record<string, (event: KeyboardEvent) => void>>}
 */
export const viewKeys = signal({});

/**
 * A key with what is held beside it: `j`, `J` (with Shift, whatever Caps Lock says), `Shift-ArrowUp`, `Mod-k` (Ctrl or
 * Cmd).
 * @param {KeyboardEvent} event
 */
function keyName(event) {
  const mod = event.ctrlKey || event.metaKey ? "Mod-" : "";
  const shift = event.shiftKey && event.key.length > 1 ? "Shift-" : "";
  const letter = event.key.length === 1 && event.shiftKey && !mod ? event.key.toUpperCase() : event.key.toLowerCase();
  return `${mod}${shift}${event.key.length === 1 ? letter : event.key}`;
}

/** @param {EventTarget|null} target */
function writes(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && !["checkbox", "radio", "button"].includes(/** @type {any} */ (target).type));
}

/**
 * Whether a key is what the thing that has the focus waits for.
 * @param {string} key
 * @param {EventTarget|null} target
 */
function presses(key, target) {
  return (key === " " || key === "Enter") && target instanceof Element && !!target.closest("button, a, summary, input");
}

let since = -WAIT;

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  if (document.querySelector("#shell[inert]")) return;
  const key = keyName(event);
  if (key === "Mod-k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (!letters.peek() && /^\S$/u.test(key)) return;
  if (document.querySelector("dialog[open]") || writes(event.target) || presses(key, event.target)) return;
  const act = globalKey(event, key) ?? viewKeys.peek()[key] ?? (key === "Escape" ? clear : undefined);
  if (!act) return;
  event.preventDefault();
  act(event);
});

/**
 * @param {KeyboardEvent} event
 * @param {string} key
 * @returns {((event: KeyboardEvent) => void)|undefined}
 */
function globalKey(event, key) {
  const went = event.timeStamp - since < WAIT;
  since = -WAIT;
  if (went) {
    const view = VIEWS.find((one) => one.key === key && (!one.shown || one.shown()));
    return view && (() => go(`/${view.path}`));
  }
  if (key === "g") {
    return () => {
      since = event.timeStamp;
    };
  }
  return key === "?" ? openHelp : undefined;
}
