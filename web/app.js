// The page: logs in, shows every service, and keeps what it shows true.

import { call } from "/api.js";
import { watch } from "/stream.js";

const MARKS = { active: "●", starting: "◐", stopping: "◑", unresponsive: "▲", stopped: "○", not_available: "?" };
const WORST_FIRST = ["unresponsive", "not_available", "stopping", "starting", "stopped", "active"];

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {Map<string, any>} services by name */
const services = new Map();
/** @type {Map<string, HTMLTableRowElement>} their rows */
const rows = new Map();
let stop = () => {};

/**
 * How long ago, in the two largest units that matter.
 * @param {string} since
 */
function age(since) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** @param {any} service */
function remarks(service) {
  const parts = [];
  if (service.last_state) parts.push(`last known: ${service.last_state}`);
  if (service.reason) parts.push(service.reason);
  return parts.concat(service.notes ?? []).join("; ");
}

/**
 * Writes a text only where it differs, so that nothing is drawn again for nothing.
 * @param {Element} cell
 * @param {string} text
 */
function write(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

/** @param {any} service */
function draw(service) {
  let row = rows.get(service.name);
  if (!row) {
    row = document.createElement("tr");
    row.dataset.service = service.name;
    for (const kind of ["name", "machine", "state", "since", "ports", "remarks"]) {
      const cell = document.createElement("td");
      cell.className = kind;
      row.append(cell);
    }
    rows.set(service.name, row);
    place(row, service);
  }
  const [name, machine, state, since, ports, remark] = row.cells;
  const crashed = service.state === "stopped" && service.last_exit && !service.last_exit.wanted;
  row.dataset.state = service.state;
  row.dataset.crashed = crashed ? "yes" : "no";
  write(name, service.name);
  write(machine, service.machine);
  write(state, `${MARKS[/** @type {keyof MARKS} */ (service.state)] ?? ""} ${service.state.replace("_", " ")}`);
  write(since, age(service.since));
  since.title = new Date(service.since).toLocaleString();
  write(ports, (service.ports ?? []).join(", "));
  write(remark, (crashed ? "✗ " : "") + remarks(service));
}

/** @param {any} service */
const order = (service) => `${service.machine}\n${service.type}\n${service.name}`;

/**
 * Puts a new row where it belongs: by machine, the agent first.
 * @param {HTMLTableRowElement} row
 * @param {any} service
 */
function place(row, service) {
  const body = element("services");
  const later = [...body.children].find((other) => {
    const shown = services.get(/** @type {HTMLElement} */ (other).dataset.service ?? "");
    return shown && order(shown) > order(service);
  });
  body.insertBefore(row, later ?? null);
}

function drawCounts() {
  const instances = [...services.values()].filter((service) => service.type === "instance");
  const counts = WORST_FIRST.map((state) => [state, instances.filter((service) => service.state === state).length]);
  const words = counts.filter(([, count]) => count).map(([state, count]) => `${count} ${String(state).replace("_", " ")}`);
  const many = instances.length === 1 ? "instance" : "instances";
  write(element("counts"), [`${instances.length} ${many}`, ...words].join(" · "));
  element("empty").hidden = services.size > 0;
}

/** @param {any} manager */
function drawProblems(manager) {
  element("problems").replaceChildren(
    ...manager.problems.map((/** @type {string} */ problem) => {
      const item = document.createElement("li");
      item.textContent = problem;
      return item;
    }),
  );
}

/** @param {any} status */
function onSnapshot(status) {
  write(element("grid"), status.grid);
  document.title = `${status.grid} · Tomcat Grid`;
  drawProblems(status.manager);
  const names = new Set(status.services.map((/** @type {any} */ service) => service.name));
  for (const name of [...services.keys()].filter((name) => !names.has(name))) remove(name);
  for (const service of status.services) {
    services.set(service.name, service);
    draw(service);
  }
  drawCounts();
  element("board").hidden = false;
}

/** @param {string} name */
function remove(name) {
  services.delete(name);
  rows.get(name)?.remove();
  rows.delete(name);
}

/** @param {any} event */
function onEvent(event) {
  if (event.kind === "service.state") {
    services.set(event.data.name, event.data);
    draw(event.data);
    drawCounts();
  } else if (event.kind === "service.gone") {
    remove(event.service);
    drawCounts();
  } else if (event.kind === "manager.state") {
    drawProblems(event.data);
  }
}

/** @type {Date | null} */
let lostAt = null;

/** @param {boolean} live */
function onLive(live) {
  const shown = element("live");
  lostAt = live ? null : (lostAt ?? new Date());
  shown.dataset.live = live ? "yes" : "no";
  write(shown, lostAt ? `Not live: the manager is not heard from since ${lostAt.toLocaleTimeString()}` : "live");
  document.body.classList.toggle("stale", !live);
}

function askToLogIn() {
  stop();
  element("board").hidden = true;
  element("log-out").hidden = true;
  write(element("log-out-error"), "");
  element("login").hidden = false;
  element("live").removeAttribute("data-live");
  write(element("live"), "");
}

function begin() {
  element("login").hidden = true;
  element("log-out").hidden = false;
  stop = watch({ onSnapshot, onEvent, onLive, onLoggedOut: askToLogIn });
}

element("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const data = new FormData(form);
  write(element("login-error"), "");
  try {
    await call("POST", "/session", { name: data.get("name"), password: data.get("password") });
    form.reset();
    begin();
  } catch (problem) {
    write(element("login-error"), /** @type {Error} */ (problem).message);
  }
});

element("log-out").addEventListener("click", async () => {
  write(element("log-out-error"), "");
  try {
    await call("DELETE", "/session");
    askToLogIn();
  } catch (problem) {
    // Who believes to have logged out walks away from a session that lives.
    write(element("log-out-error"), `You are still logged in: ${/** @type {Error} */ (problem).message}`);
  }
});

setInterval(() => {
  // Ages of what is not live would be lies.
  if (!lostAt) for (const [name, row] of rows) write(row.cells[3], age(services.get(name).since));
}, 1000);

begin();
