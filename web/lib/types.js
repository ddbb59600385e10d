// What the API answers, as types. What each word of it means stands in /api/v1/openapi.json.

/** @typedef {"active"|"starting"|"stopping"|"unresponsive"|"stopped"|"not_available"} State */
/** @typedef {"start"|"stop"|"kill"} Action */
/** @typedef {"start"|"stop"|"kill"|"restart"|"killstart"} Command */
/** @typedef {"viewer"|"operator"|"admin"} Role */

/**
 * How a process ended.
 * @typedef {{at: string, code: number|null, signal: number|null, wanted: boolean, how: string}} Exit
 */

/**
 * A Tomcat, or an agent.
 * @typedef {{name: string, machine: string, type: "instance"|"agent", state: State, last_state: State|null, reason: string|null, last_exit: Exit|null, since: string, pid: number|null, catalina_base: string|null, catalina_home?: string|null, ports?: number[], user?: string|null, unit?: string|null, notes?: string[], tags?: string[], collections?: string[]}} Service
 */

/**
 * What a machine is, as last told.
 * @typedef {{hostname: string, os: string, kernel: string, arch: string, cpus: number, memory: number, boot_id: string, user: string, systemd: boolean, notes: string[]}} MachineFacts
 */

/**
 * A host with an agent.
 * @typedef {{name: string, connected: boolean, agent_version: string, last_heard: string|null, joined_at: string, revoked_at: string|null, instances: number, facts: MachineFacts, tags?: string[]}} Machine
 */

/**
 * The manager that tells it.
 * @typedef {{name: string, role: string, epoch: number, version: string, problems: string[]}} Manager
 */

/**
 * The whole.
 * @typedef {{grid: string, manager: Manager, seq: string, machines: Machine[], services: Service[]}} Status
 */

/**
 * Something that happened.
 * @typedef {{id: string, at: string, kind: string, service: string|null, machine: string|null, actor: string|null, data: any, passing?: boolean}} GridEvent
 */

/**
 * Who is logged in.
 * @typedef {{name: string, role: Role, credential: "socket"|"token"|"session", grid: string, targets?: string[]|null, expires_at?: string|null, version?: string}} Whoami
 */

/**
 * What became of a trigger on one service.
 * @typedef {{service: string, outcome: "done"|"ignored"|"refused"|"failed"|"not_available"|"unknown"|"planned", message: string}} TriggerResult
 */

/**
 * Somebody who may log in.
 * @typedef {{name: string, role: Role, created_at: string, created_by: string, last_login_at: string|null, password_changed_at: string|null, sessions: number}} User
 */

/**
 * What an agent joins with, or a script shows instead of a password; without its secret.
 * @typedef {{id: string, type: "join"|"api", role: Role|null, machine: string|null, max_uses: number|null, uses: number|null, owner: string|null, targets: string[]|null, description: string, created_at: string, created_by: string, expires_at: string, revoked_at: string|null, last_used_at: string|null, last_used_from: string|null}} Token
 */

/**
 * What the audit holds of one action, done or refused.
 * @typedef {{seq: number, at: string, actor: string, credential: "socket"|"token"|"session"|null, from: string|null, action: string, subject: string|null, outcome: string, detail: string, hash: string}} AuditRecord
 */

/**
 * What checking the audit's chain found.
 * @typedef {{ok: boolean, records: number, head: string|null, broken_at: number|null, message: string}} AuditCheck
 */

/** @typedef {"planned"|"running"|"done"|"ignored"|"skipped"|"failed"|"timed_out"|"partly_failed"|"vetoed"|"refused"|"not_available"|"conflict"|"gone"|"superseded"|"cancelled"|"unknown"} StepState */
/** @typedef {"sequential"|"parallel"} Mode */
/** @typedef {{number: number, at: string, step: number, text: string}} LogLine */
/** @typedef {{count: number}|{percent: number}|number|null} Budget */

/**
 * A command that is carried out.
 * @typedef {{id: string, command: Command, targets: string[], state: "running"|"cancelling"|"interrupted"|"ended"|"planned", result: StepState|null, message: string, actor: string, created_at: string, ended_at: string|null, retry_of: string|null, interruptions?: {at: string, exact: boolean, resumed_at: string|null, resumed_by: string|null}[], services: Record<"total"|"planned"|"running"|"done"|"ignored"|"failed"|"skipped", number>}} Operation
 */

/**
 * A node of an operation's tree.
 * @typedef {{number: number, parent: number|null, kind: "group"|"service"|"hook"|"signal"|"wait"|"delay", state: StepState, message: string, started_at: string|null, ended_at: string|null} & Partial<Inner>} Step
 */

/**
 * What a node holds, each by its kind.
 * @typedef {{collection: string|null, is_grid: boolean, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue"|"abort"|"warn", failure_budget: number|null, service: string, machine: string, impossible: string|null, event: string, program: string, place: "machine"|"manager", timeout_ms: number, delay_ms: number, signal: string, until: "active"|"stopped", if_stop_timed_out: boolean}} Inner
 */

/** @typedef {{name: string, mode: Mode, max_parallel: number|null, on_failure: "stop"|"continue", failure_budget: Budget, members: string[]}} Collection */

export {};
