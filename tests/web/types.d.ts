// What the API answers, as types, for the checks alone: no browser loads them. What each word means stands in
// /api/v1/openapi.json.

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
export type Operation = {id: string, command: Command, targets: string[], state: "running"|"cancelling"|"interrupted"|"ended"|"planned", result: StepState|null, message: string, actor: string, created_at: string, ended_at: string|null, retry_of: string|null, services: Record<"total"|"planned"|"running"|"done"|"ignored"|"failed"|"skipped", number>};

/** A node of an operation's tree. */
export type Step = {number: number, parent: number|null, kind: "group"|"service"|"hook"|"signal"|"wait"|"delay", state: StepState, message: string, started_at: string|null, ended_at: string|null} & Partial<Inner>;

/** What a node holds, each by its kind. */
export type Inner = {collection: string|null, is_grid: boolean, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue"|"abort"|"warn", failure_budget: number|null, service: string, machine: string, impossible: string|null, event: string, program: string, place: "machine"|"manager", timeout_ms: number, delay_ms: number, signal: string, until: "active"|"stopped", if_stop_timed_out: boolean};

export type Collection = {name: string, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue", failure_budget: Budget, members: string[]};

/** A hook program, and which machines have it. */
export type Program = {name: string, hash: string, size: number, added_at: string, added_by: string, used: boolean, machines: {machine: string, ready: boolean, why: string|null}[]};

/** When a hook program runs. */
export type Binding = {event: string, targets: string[], program: string, timeout_ms: number, on_failure: string, user: string|null, environment: Record<string, string>, secrets: string[]};

/** A command that the clock gives. */
export type Schedule = {name: string, cron: string, timezone: string, command: Command, targets: string[], enabled: boolean, next_at: string|null, last_at: string|null, last_operation: string|null, last_result: StepState|null, running: boolean, missed: number, last_missed_at: string|null, last_missed: string|null};

/** The configuration in force. */
export type Config = {version: number, at: string|null, actor: string|null, text: string};

/** A version of the configuration, without its text. */
export type Version = {version: number, at: string, actor: string, cause: string|null};

/** What a change of the configuration would do, or did. */
export type Change = {version: number, changed: boolean, diff: string, warnings: string[]};
