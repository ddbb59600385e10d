//! Every metric: its name, what it means, and where it is read.

use prometheus_client::{metrics::MetricType, registry::Unit};

use crate::{app::figures::Figures, grid::event::Kind};

/// One value with the values of its metric's labels.
pub(super) type Sample = (Vec<String>, f64);

/// A metric, and how it is read from the figures.
pub(super) struct Metric {
    /// The name as samples have it. Those of counters end in `_total`.
    pub(super) name: &'static str,
    pub(super) r#type: MetricType,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
    pub(super) samples: fn(&Figures) -> Vec<Sample>,
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Figures) -> Vec<Sample>,
) -> Metric {
    Metric { name, r#type: MetricType::Gauge, labels, help, samples }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: fn(&Figures) -> Vec<Sample>,
) -> Metric {
    Metric { name, r#type: MetricType::Counter, labels, help, samples }
}

/// A metric without labels.
fn one(value: impl Number) -> Vec<Sample> {
    vec![(Vec::new(), value.number())]
}

fn sample<const N: usize>(labels: [&str; N], value: impl Number) -> Sample {
    (labels.map(str::to_owned).to_vec(), value.number())
}

/// What the text format shows as a number.
trait Number {
    fn number(self) -> f64;
}

#[allow(clippy::cast_precision_loss, reason = "the format has no other numbers, and none is so large")]
impl Number for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for u32 {
    fn number(self) -> f64 {
        f64::from(self)
    }
}

impl Number for usize {
    fn number(self) -> f64 {
        (self as u64).number()
    }
}

impl Number for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Number for std::time::Duration {
    fn number(self) -> f64 {
        self.as_secs_f64()
    }
}

fn events_of(figures: &Figures, kind: Kind) -> u64 {
    figures.journal.by_kind.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count)
}

/// Every metric.
pub(super) const METRICS: &[Metric] = &[
    gauge(
        "tomcat_grid_build_info",
        &["version", "arch"],
        "Always 1; the labels say which manager this is.",
        |figures| vec![sample([figures.version, std::env::consts::ARCH], 1_u32)],
    ),
    gauge("tomcat_grid_uptime_seconds", &[], "For how long the manager has run.", |figures| one(figures.uptime)),
    gauge("tomcat_grid_epoch", &[], "The epoch in which this manager is primary.", |figures| one(figures.epoch)),
    gauge(
        "tomcat_grid_services",
        &["type", "state"],
        "Services by type and state, states that no service is in among them.",
        |figures| {
            let services = figures.fleet.services.iter();
            services.map(|(r#type, state, count)| sample([r#type.as_str(), state.as_str()], *count)).collect()
        },
    ),
    gauge("tomcat_grid_machines", &[], "Registered machines.", |figures| one(figures.fleet.machines)),
    gauge("tomcat_grid_machines_linked", &[], "Machines whose agents are linked now.", |figures| {
        one(figures.fleet.linked)
    }),
    gauge("tomcat_grid_links", &[], "Open links of agents.", |figures| one(figures.links.links)),
    gauge(
        "tomcat_grid_connections",
        &["face"],
        "Open connections that are no links: of agents and people at the TLS port, and at the Unix socket (local).",
        |figures| {
            let traffic = &figures.traffic;
            vec![
                sample(["agents"], traffic.agents),
                sample(["people"], traffic.people),
                sample(["local"], traffic.local),
            ]
        },
    ),
    gauge("tomcat_grid_tls_handshakes", &[], "Connections that have not finished their TLS handshake.", |figures| {
        one(figures.traffic.handshakes)
    }),
    counter(
        "tomcat_grid_connections_cut_off_total",
        &[],
        "Connections that were cut off, because the other end took nothing for too long.",
        |figures| one(figures.traffic.cut_off),
    ),
    counter(
        "tomcat_grid_connections_turned_away_total",
        &[],
        "Connections that were turned away, because too many came from one address, or of one user of the host.",
        |figures| one(figures.traffic.crowded),
    ),
    gauge("tomcat_grid_event_streams", &[], "Open streams of events.", |figures| one(figures.traffic.streams)),
    counter(
        "tomcat_grid_event_stream_resets_total",
        &[],
        "How often a watcher had to begin anew with a snapshot.",
        |figures| one(figures.traffic.resets),
    ),
    gauge("tomcat_grid_journal_queue", &[], "Entries that wait to be written to the journal.", |figures| {
        one(figures.journal.queued)
    }),
    gauge(
        "tomcat_grid_journal_queue_capacity",
        &[],
        "How many entries can wait; what comes beyond is lost, and watchers begin anew.",
        |figures| one(figures.journal.capacity),
    ),
    gauge("tomcat_grid_journal_unwritten_events", &[], "Events that were told and are not on disk.", |figures| {
        one(figures.journal.unwritten)
    }),
    gauge(
        "tomcat_grid_journal_lag_seconds",
        &[],
        "For how long the oldest event that is being written, or could not be written, has waited.",
        |figures| one(figures.journal.lag),
    ),
    gauge("tomcat_grid_journal_last_sequence", &[], "The number of the last event.", |figures| {
        one(figures.journal.last.seq)
    }),
    counter(
        "tomcat_grid_journal_losses_total",
        &[],
        "How often events were lost before they had a number, so that all watchers began anew.",
        |figures| one(figures.journal.losses),
    ),
    gauge("tomcat_grid_disk_full", &[], "1 while the disk has no room, else 0.", |figures| {
        one(figures.journal.disk_full)
    }),
    gauge("tomcat_grid_mailbox_messages", &[], "Messages that wait to be sent to agents, in all.", |figures| {
        one(figures.links.messages)
    }),
    gauge("tomcat_grid_mailbox_messages_max", &[], "Messages that wait in the fullest mailbox.", |figures| {
        one(figures.links.deepest)
    }),
    gauge("tomcat_grid_orders_waiting", &[], "Orders whose outcome is not known yet.", |figures| {
        one(figures.links.orders)
    }),
    gauge("tomcat_grid_logins_waiting", &[], "Logins that are being checked, or wait for their turn.", |figures| {
        one(figures.logins_waiting)
    }),
    gauge(
        "tomcat_grid_database_connections_busy",
        &["database", "use"],
        "Connections to the databases that are in use.",
        |figures| figures.databases.iter().map(|(database, r#use, busy)| sample([database, r#use], *busy)).collect(),
    ),
    counter("tomcat_grid_events_total", &["kind"], "Events by kind, as the journal names them.", |figures| {
        figures.journal.by_kind.iter().map(|(kind, count)| sample([kind.word()], *count)).collect()
    }),
    counter(
        "tomcat_grid_triggers_total",
        &["action", "outcome"],
        "Triggers by action and what became of them, one for each service.",
        |figures| {
            let triggers = figures.triggers.iter();
            triggers.map(|(action, outcome, count)| sample([action.as_str(), outcome.as_str()], *count)).collect()
        },
    ),
    counter(
        "tomcat_grid_logins_total",
        &["result"],
        "Logins that succeeded, that failed, and that were not looked at, because too many failed.",
        |figures| {
            vec![
                sample(["ok"], events_of(figures, Kind::Login)),
                sample(["failed"], events_of(figures, Kind::LoginFailed)),
                sample(["throttled"], figures.logins_throttled),
            ]
        },
    ),
    counter("tomcat_grid_actions_refused_total", &[], "Actions that somebody was not allowed to do.", |figures| {
        one(figures.actions_refused)
    }),
    counter(
        "tomcat_grid_joins_refused_total",
        &["token"],
        "Agents that were turned away: with a token the grid never made (unknown), and all others that became an event.",
        |figures| {
            vec![sample(["unknown"], figures.strangers), sample(["known"], events_of(figures, Kind::MachineRefused))]
        },
    ),
    gauge("process_resident_memory_bytes", &[], "Memory that the process has in RAM.", |figures| {
        one(figures.process.resident)
    }),
    counter("process_cpu_seconds_total", &[], "Processor time that the process has used.", |figures| {
        one(figures.process.cpu)
    }),
    gauge("process_open_fds", &[], "Open file descriptors.", |figures| one(figures.process.descriptors)),
    gauge("process_max_fds", &[], "The most file descriptors that may be open.", |figures| {
        one(figures.process.most_descriptors)
    }),
    gauge("process_threads", &[], "Threads of the process.", |figures| one(figures.process.threads)),
    gauge("process_start_time_seconds", &[], "When the manager started, in seconds since 1970.", |figures| {
        one(figures.started)
    }),
];

impl Metric {
    /// The name and the unit as the format takes them: it writes the unit, and what counters end in, by itself.
    pub(super) fn name_and_unit(&self) -> (&'static str, Option<Unit>) {
        let base = self.name.strip_suffix("_total").unwrap_or(self.name);
        for unit in [Unit::Seconds, Unit::Bytes] {
            if let Some(name) = base.strip_suffix(unit.as_str()).and_then(|name| name.strip_suffix('_')) {
                return (name, Some(unit));
            }
        }
        (base, None)
    }

    /// Its row in the documentation.
    #[cfg(test)]
    pub(super) fn row(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", self.name, self.r#type.as_str(), labels.join(", "), self.help)
    }
}
