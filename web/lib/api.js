// Calls the manager's API, with the session that the browser's cookie carries.

import { signal } from "/lib/html.js";

/** How long a call may take. Triggers wait up to 40 s for an agent. In milliseconds. */
const PATIENCE = 60_000;

/** How far the manager's clock is ahead of this browser's, in milliseconds; 0 when they agree within 3 s. */
export const skew = signal(0);

/** Counts up whenever the manager says that nobody is logged in. */
export const loggedOut = signal(0);

/** An answer that is no success. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when there was no answer
   * @param {string} code
   * @param {string} message
   * @param {number|null} [retryAfter] in seconds
   */
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** @param {Response} response */
async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after"));
  const message = said.detail ?? `The manager answered with status ${response.status}.`;
  return new Problem(response.status, said.code ?? "unknown", message, wait > 0 ? wait : null);
}

/**
 * Calls `/api/v1` and reads its answer; throws a {@link Problem} for whatever is no success.
 * @param {string} method
 * @param {string} path below `/api/v1`
 * @param {unknown} [body] is sent as JSON; a file as it is
 * @param {{patience?: number}} [options]
 * @returns {Promise<any>} the JSON, or null where there is none
 */
export async function call(method, path, body, options = {}) {
  let response;
  const file = body instanceof Blob;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: body === undefined ? undefined : { "content-type": file ? "application/octet-stream" : "application/json" },
      body: body === undefined ? undefined : file ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(options.patience ?? PATIENCE),
    });
  } catch {
    throw new Problem(0, "unreachable", "The manager does not answer.");
  }
  const date = Date.parse(response.headers.get("date") ?? "");
  if (date) {
    const ahead = date + 500 - Date.now();
    skew.value = Math.abs(ahead) > 3000 ? ahead : 0;
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.status === 401 && problem.code !== "wrong_password") loggedOut.value++;
    throw problem;
  }
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new Problem(0, "unreachable", "The manager's answer broke off.");
  }
}

/**
 * The pages of a list, each an array of its items.
 * @param {string} path with its query, without `cursor`
 * @returns {AsyncGenerator<any[]>}
 */
export async function* pages(path) {
  let cursor = "";
  do {
    const page = await call("GET", cursor ? `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : path);
    yield page.items;
    cursor = page.next;
  } while (cursor);
}
