// What the API answers, as types. See /api/v1/openapi.json for every word of it.

/** @typedef {"active"|"starting"|"stopping"|"unresponsive"|"stopped"|"not_available"} State */
/** @typedef {"start"|"stop"|"kill"} Action */
/** @typedef {"start"|"stop"|"kill"|"restart"|"killstart"} Command */
/** @typedef {"viewer"|"operator"|"admin"} Role */

/**
 * How a process ended.
 * @typedef {object} Exit
 * @property {string} at
 * @property {number|null} code
 * @property {number|null} signal
 * @property {boolean} wanted whether somebody wanted it to end; else it is a crash
 * @property {string} how the same in words
 */

/**
 * A Tomcat, or an agent.
 * @typedef {object} Service
 * @property {string} name
 * @property {string} machine
 * @property {"instance"|"agent"} type
 * @property {State} state
 * @property {State|null} last_state what was last known, when nothing is known now
 * @property {string|null} reason
 * @property {Exit|null} last_exit
 * @property {string} since
 * @property {number|null} pid
 * @property {string|null} catalina_base
 * @property {string|null} [catalina_home]
 * @property {number[]} [ports]
 * @property {string|null} [user]
 * @property {string|null} [unit]
 * @property {string[]} [notes]
 * @property {string[]} [tags] its own and those of its machine
 * @property {string[]} [collections] all that hold it, at any depth
 */

/**
 * What a machine is, as last told.
 * @typedef {object} MachineFacts
 * @property {string} hostname
 * @property {string} os
 * @property {string} kernel
 * @property {string} arch
 * @property {number} cpus
 * @property {number} memory in bytes
 * @property {string} boot_id
 * @property {string} user
 * @property {boolean} systemd
 * @property {string[]} notes
 */

/**
 * A host with an agent.
 * @typedef {object} Machine
 * @property {string} name
 * @property {boolean} connected
 * @property {string} agent_version
 * @property {string|null} last_heard
 * @property {string} joined_at
 * @property {string|null} revoked_at
 * @property {number} instances
 * @property {MachineFacts} facts
 * @property {string[]} [tags]
 */

/**
 * The manager that tells it.
 * @typedef {object} Manager
 * @property {string} name
 * @property {string} role
 * @property {number} epoch
 * @property {string} version
 * @property {string[]} problems what is wrong with it, in words
 */

/**
 * The whole.
 * @typedef {object} Status
 * @property {string} grid
 * @property {Manager} manager
 * @property {string} seq the last event it includes
 * @property {Machine[]} machines
 * @property {Service[]} services
 */

/**
 * Something that happened.
 * @typedef {object} GridEvent
 * @property {string} id
 * @property {string} at
 * @property {string} kind
 * @property {string|null} service
 * @property {string|null} machine
 * @property {string|null} actor
 * @property {any} data
 * @property {boolean} [passing] whether it is only of the moment: no journal has it
 */

/**
 * Who is logged in.
 * @typedef {object} Whoami
 * @property {string} name
 * @property {Role} role
 * @property {"socket"|"token"|"session"} credential
 * @property {string} grid
 * @property {string[]|null} [targets] what a token is limited to
 * @property {string|null} [expires_at]
 * @property {string} [version]
 */

/**
 * What became of a trigger on one service.
 * @typedef {object} TriggerResult
 * @property {string} service
 * @property {"done"|"ignored"|"refused"|"failed"|"not_available"|"unknown"|"planned"} outcome
 * @property {string} message
 */

/**
 * Somebody who may log in.
 * @typedef {object} User
 * @property {string} name
 * @property {Role} role
 * @property {string} created_at
 * @property {string} created_by
 * @property {string|null} last_login_at
 * @property {string|null} password_changed_at
 * @property {number} sessions how many are open
 */

/**
 * What an agent joins with, or a script shows instead of a password; without its secret.
 * @typedef {object} Token
 * @property {string} id
 * @property {"join"|"api"} type
 * @property {Role|null} role
 * @property {string|null} machine the only one it joins
 * @property {number|null} max_uses
 * @property {number|null} uses
 * @property {string|null} owner whose rights it has
 * @property {string[]|null} targets the only ones it sees and acts on
 * @property {string} description
 * @property {string} created_at
 * @property {string} created_by
 * @property {string} expires_at
 * @property {string|null} revoked_at
 * @property {string|null} last_used_at
 * @property {string|null} last_used_from
 */

/**
 * What the audit holds of one action, done or refused.
 * @typedef {object} AuditRecord
 * @property {number} seq
 * @property {string} at
 * @property {string} actor
 * @property {"socket"|"token"|"session"|null} credential
 * @property {string|null} from
 * @property {string} action
 * @property {string|null} subject
 * @property {string} outcome
 * @property {string} detail
 * @property {string} hash of it and of the record before, in hexadecimal
 */

/**
 * What checking the audit's chain found.
 * @typedef {object} AuditCheck
 * @property {boolean} ok
 * @property {number} records
 * @property {string|null} head `SEQ:HASH` of the last record
 * @property {number|null} broken_at the first record that does not fit
 * @property {string} message
 */

/** @typedef {"planned"|"running"|"done"|"ignored"|"skipped"|"failed"|"timed_out"|"partly_failed"|"vetoed"|"refused"|"not_available"|"conflict"|"gone"|"superseded"|"cancelled"|"unknown"} StepState */
/** @typedef {"sequential"|"parallel"} Mode */
/** @typedef {{number: number, at: string, step: number, text: string}} LogLine */
/** @typedef {{count: number}|{percent: number}|number|null} Budget */

/**
 * A command that is carried out.
 * @typedef {{id: string, command: Command, targets: string[], state: "running"|"cancelling"|"interrupted"|"ended"|"planned", result: StepState|null, message: string, actor: string, created_at: string, ended_at: string|null, retry_of: string|null, services: Record<"total"|"planned"|"running"|"done"|"ignored"|"failed"|"skipped", number>}} Operation
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
