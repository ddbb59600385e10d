// Light, dark, or as the system has it; remembered in this browser.

import { signal } from "/lib/html.js";

/** @typedef {"system"|"light"|"dark"} Theme */

/** The choices in their order. @type {Theme[]} */
export const THEMES = ["system", "light", "dark"];

/** The one that is chosen. */
export const theme = signal(/** @type {Theme} */ (document.documentElement.dataset.theme ?? "system"));

/**
 * Chooses.
 * @param {Theme} choice
 */
export function setTheme(choice) {
  theme.value = choice;
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", choice);
  } catch {
    // It holds for this page then.
  }
}
