// The page's types, for the checks alone: no browser loads them. What each word of the API's answers means stands in
// /api/v1/openapi.json.

import { Problem } from "/lib/api.js";
import { Signal } from "/lib/html.js";
import { Counts } from "/lib/search.js";

// What the API answers.

export type State = "active"|"starting"|"stopping"|"unresponsive"|"stopped"|"not_available";

export type Action = "start"|"stop"|"kill";

export type Command = "start"|"stop"|"kill"|"restart"|"killstart";

export type Role = "viewer"|"operator"|"admin";

/** How a process ended. */
export type Exit = {at: string, code: number|null, signal: number|null, wanted: boolean, how: string};

/** A Tomcat, or an agent. */
export type Service = {name: string, machine: string, type: "instance"|"agent", state: State, last_state: State|null, reason: string|null, last_exit: Exit|null, since: string, pid: number|null, catalina_base: string|null, catalina_home?: string|null, ports?: number[], user?: string|null, unit?: string|null, notes?: string[], tags?: string[], collections?: string[]};

/** What a machine is, as last told. */
export type MachineFacts = {hostname: string, os: string, kernel: string, arch: string, cpus: number, memory: number, boot_id: string, user: string, systemd: boolean, notes: string[]};

/** A host with an agent. */
export type Machine = {name: string, connected: boolean, agent_version: string, last_heard: string|null, joined_at: string, revoked_at: string|null, instances: number, facts: MachineFacts, tags?: string[]};

/** The manager that tells it. */
export type Manager = {name: string, role: string, epoch: number, version: string, problems: string[]};

/** The whole. */
export type Status = {grid: string, manager: Manager, seq: string, machines: Machine[], services: Service[]};

/** Something that happened. */
export type GridEvent = {id: string, at: string, kind: string, service: string|null, machine: string|null, actor: string|null, data: any, passing?: boolean};

/** Who is logged in. */
export type Whoami = {name: string, role: Role, credential: "socket"|"token"|"session", grid: string, targets?: string[]|null, expires_at?: string|null, version?: string};

/** What became of a trigger on one service. */
export type TriggerResult = {service: string, outcome: "done"|"ignored"|"refused"|"failed"|"not_available"|"unknown"|"planned", message: string};

/** Somebody who may log in. */
export type User = {name: string, role: Role, created_at: string, created_by: string, last_login_at: string|null, password_changed_at: string|null, sessions: number};

/** What an agent joins with, or a script shows instead of a password; without its secret. */
export type Token = {id: string, type: "join"|"api", role: Role|null, machine: string|null, max_uses: number|null, uses: number|null, owner: string|null, targets: string[]|null, description: string, created_at: string, created_by: string, expires_at: string, revoked_at: string|null, last_used_at: string|null, last_used_from: string|null};

/** What the audit holds of one action, done or refused. */
export type AuditRecord = {seq: number, at: string, actor: string, credential: "socket"|"token"|"session"|null, from: string|null, action: string, subject: string|null, outcome: string, detail: string, hash: string};

/** What checking the audit's chain found. */
export type AuditCheck = {ok: boolean, records: number, head: string|null, broken_at: number|null, message: string};

export type StepState = "planned"|"running"|"done"|"ignored"|"skipped"|"failed"|"timed_out"|"partly_failed"|"vetoed"|"refused"|"not_available"|"conflict"|"gone"|"superseded"|"cancelled"|"unknown";

export type Mode = "sequential"|"parallel";

export type LogLine = {number: number, at: string, step: number, text: string};

export type Budget = {count: number}|{percent: number}|number|null;

/** A command that is carried out. */
export type Operation = {id: string, command: Command, targets: string[], state: "running"|"cancelling"|"interrupted"|"ended"|"planned", result: StepState|null, message: string, actor: string, created_at: string, ended_at: string|null, retry_of: string|null, interruptions?: {at: string, exact: boolean, resumed_at: string|null, resumed_by: string|null}[], services: Record<"total"|"planned"|"running"|"done"|"ignored"|"failed"|"skipped", number>};

/** A node of an operation's tree. */
export type Step = {number: number, parent: number|null, kind: "group"|"service"|"hook"|"signal"|"wait"|"delay", state: StepState, message: string, started_at: string|null, ended_at: string|null} & Partial<Inner>;

/** What a node holds, each by its kind. */
export type Inner = {collection: string|null, is_grid: boolean, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue"|"abort"|"warn", failure_budget: number|null, service: string, machine: string, impossible: string|null, event: string, program: string, place: "machine"|"manager", timeout_ms: number, delay_ms: number, signal: string, until: "active"|"stopped", if_stop_timed_out: boolean};

export type Collection = {name: string, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue", failure_budget: Budget, members: string[]};

/** A hook program, and which machines have it. */
export type Program = {name: string, hash: string, size: number, added_at: string, added_by: string, used: boolean, machines: {machine: string, ready: boolean, why: string|null}[]};

/** When a hook program runs. */
export type Binding = {event: string, targets: string[], program: string, timeout_ms: number, on_failure: string, user: string|null, environment: Record<string, string>, secrets: string[], not_ready: string[]};

/** A command that the clock gives. */
export type Schedule = {name: string, cron: string, timezone: string, command: Command, targets: string[], enabled: boolean, next_at: string|null, last_at: string|null, last_operation: string|null, last_result: StepState|null, running: boolean, missed: number, last_missed_at: string|null, last_missed: string|null};

/** The configuration in force. */
export type Config = {version: number, at: string|null, actor: string|null, text: string};

/** A version of the configuration, without its text. */
export type Version = {version: number, at: string, actor: string, cause: string|null};

/** What a change of the configuration would do, or did. */
export type Change = {version: number, changed: boolean, diff: string, warnings: string[]};

// What the page's own modules hand to each other.

export interface Outcome {
  action: Action;
  outcome: TriggerResult["outcome"]|"pending";
  message: string;
  /** when it was told, in milliseconds since 1970 */
  at: number;
}

/** What became of one call. */
export interface Report {
  action: Action;
  results: TriggerResult[];
  /** why the call itself failed, or "" */
  problem: string;
}

/** What became of a call: the results, of each part that failed, too, and why the first such part did. */
export interface Answer {
  results: TriggerResult[];
  /** or "" */
  problem: string;
  /** whether any part was answered */
  any: boolean;
}

export interface Term {
  /** empty for free words */
  key: string;
  /** in lower case */
  value: string;
  not: boolean;
}

export interface Search {
  terms: Term[];
  /** what is not understood, in words */
  problems: string[];
}

/** A group of services, with its roll-up. */
export interface Group {
  key: string;
  title: string;
  /** in their order */
  services: Service[];
  counts: Counts;
}

/** A line of the list: the head of a group, a row, or a few tiles. */
export type GridLine = {kind: "group"|"row"|"tiles", key: string, height: number, group?: Group, name?: string, names?: string[]};

export interface Route {
  /** its parts; none for the grid */
  path: string[];
  query: URLSearchParams;
}

export interface Question {
  title: any;
  /** text or html */
  body?: any;
  /** what the button says; with none there is nothing to confirm */
  action: string;
  /** what the other button says */
  back?: string;
  /** the button is red, and does not have the focus */
  danger?: boolean;
  /** what must be typed first */
  typed?: string;
  wide?: boolean;
}

export interface View {
  /** the first part of its link */
  path: string;
  label: string;
  /** after `g` */
  key: string;
  load?: () => Promise<{default: any}>;
  /** a path in a box of 24 by 24 */
  icon: string;
  shown?: () => boolean;
  /** where there is little room, it is in a menu */
  lesser?: boolean;
}

export interface Feed {
  /** newest first */
  events: Signal<GridEvent[]>;
  /** new ones that are held back, newest first */
  waiting: Signal<GridEvent[]>;
  /** whether newer ones are not held: only `latest` brings them */
  missing: Signal<boolean>;
  /** whether there are older ones */
  more: Signal<boolean>;
  /** whether the part that was searched last held none that fit */
  barren: Signal<boolean>;
  /** how far back was searched when a part was barren, if that is known */
  reached: Signal<string|null>;
  busy: Signal<boolean>;
  loaded: Signal<boolean>;
  problem: Signal<Problem|null>;
  /** whether new events wait */
  held: () => boolean;
  /** fetches the next page */
  older: () => Promise<void>;
  /** repeats what failed */
  again: () => Promise<void>;
  /** takes what waits */
  show: () => void;
  /** begins anew */
  latest: () => Promise<void>;
}

/** A column. */
export interface Column<T> {
  label: string;
  cell: (row: T) => any;
  /** whether it names the row */
  head?: boolean;
  class?: string;
  /** whether cards show it without its label */
  quiet?: boolean;
}

/** The secrets that a view shows, the newest first. */
export type Secrets<T> = {all: T[], add: (secret: T) => void, hide: (secret: T) => void};

/** A list of the API as it is shown. */
export interface List<T> {
  items: Signal<T[]>;
  /** where the next page begins */
  next: Signal<string|null>;
  /** whether there are more than are held */
  full: Signal<boolean>;
  busy: Signal<boolean>;
  /** whether a first answer came */
  loaded: Signal<boolean>;
  problem: Signal<Problem|null>;
  /** fetches the next page */
  more: () => Promise<void>;
  /** looks again at the pages that are shown; they stay until the answer is there */
  reload: () => Promise<void>;
}

/** A call that somebody asks for: whether it is under way, and why the last one failed. */
export interface Act {
  busy: Signal<boolean>;
  problem: Signal<Problem|null>;
  /** answers whether it went well; one at a time */
  run: (work: () => Promise<unknown>) => Promise<boolean>;
}

export interface Live {
  operation: Signal<Operation|null>;
  /** by number; another array when any of them changed */
  steps: Signal<Step[]>;
  children: Signal<number[][]>;
  log: Signal<LogLine[]>;
  /** whether the log has more lines than are held */
  cut: Signal<boolean>;
  problem: Signal<any>;
}

/** A line of the tree as it is shown. */
export interface TreeLine {
  key: string;
  /** in pixels */
  height: number;
  /** of the step */
  number: number;
  depth: number;
  /** whether it can be folded */
  fold?: boolean;
  open?: boolean;
  /** whether what is said of it has lines of its own */
  long?: boolean;
  /** of the log */
  text?: string;
  /** how many services of the group it stands for, because nothing more happens to them */
  sum?: number;
}
