//! Reads the text of a configuration. Everything that can be said without knowing the grid is said here.

use std::{collections::BTreeMap, num::NonZeroU32, ops::RangeInclusive, str::FromStr, time::Duration};

use protocol::{
    health::{Expected, Health},
    hook::may_be_given,
    name::{MachineName, ServiceName},
};
use toml::de::{DeTable, DeValue};

use super::{
    Budget, Collection, GridConfig, Hook, HookFailure, HookTarget, Limits, Mode, OnFailure, Schedule, ServiceSettings,
    mistake::Remark,
    read::{self, Placed, Section, number, parsed, shown, text, time, told, truth, word},
};
use crate::grid::{
    command::Command,
    hooks::{Around, HookEvent, Phase},
    schedule::{NoTimetable, Timetable},
    target::Target,
};

/// The longest text of a configuration, in bytes.
pub const MAX_TEXT: usize = 256 * 1024;

/// The most collections.
pub const MAX_COLLECTIONS: usize = 1000;

/// The most services with settings of their own.
pub const MAX_SERVICES: usize = 10_000;

/// The most hooks.
pub const MAX_HOOKS: usize = 500;

/// The most schedules.
pub const MAX_SCHEDULES: usize = 500;

/// The most targets of a hook or a schedule.
pub const MAX_TARGETS: usize = 1000;

/// The most entries of a hook's environment, and the most secrets.
pub const MAX_ENVIRONMENT: usize = 50;

/// The most bytes of a hook's environment: the grid's own variables need room besides.
const MAX_ENVIRONMENT_BYTES: usize = protocol::hook::MAX_ENVIRONMENT - 8 * 1024;

/// The longest value of a hook's environment, in bytes.
pub const MAX_VALUE: usize = 4096;

/// How long a hook may run unless it says otherwise.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
const DELAYS: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=HOUR;

/// A configuration that was read, where its names stand, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Parsed {
    /// What could be read.
    pub config: GridConfig,
    /// Where the names stand.
    pub places: Places,
    /// What is wrong.
    pub remarks: Vec<Remark>,
}

/// Where the names of a configuration stand, as offsets in its text.
#[derive(Debug, Default)]
pub struct Places {
    /// The services with settings of their own.
    pub services: BTreeMap<ServiceName, usize>,
    /// The collections, and their members in order.
    pub collections: BTreeMap<ServiceName, (usize, Vec<usize>)>,
    /// The targets and the program of each hook.
    pub hooks: Vec<(Vec<usize>, usize)>,
    /// The command of each schedule.
    pub schedules: BTreeMap<String, usize>,
}

/// Reads a configuration.
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > MAX_TEXT {
        parsed.remarks.push((0, format!("it has {} bytes: at most {MAX_TEXT}", text.len())));
        return parsed;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let remark = |message: &str, at: Option<std::ops::Range<usize>>| (at.map_or(0, |at| at.start), told(message));
    parsed.remarks.extend(errors.iter().map(|error| remark(error.message(), error.span())));
    // What was guessed of broken syntax would only confuse.
    if parsed.remarks.is_empty() {
        read_document(Section::document(table.into_inner()), &mut parsed);
    }
    parsed
}

fn read_document(mut document: Section<'_>, parsed: &mut Parsed) {
    let remarks = &mut parsed.remarks;
    if let Some(mut grid) = document.section("grid", remarks) {
        let interval = grid.value("progress_interval", remarks, |value| time(value, INTERVALS));
        parsed.config.progress_interval = interval.map(|(_, interval)| interval);
        grid.end(remarks);
    }
    if let Some(mut defaults) = document.section("defaults", remarks) {
        parsed.config.defaults = limits(&mut defaults, remarks);
        defaults.end(remarks);
    }
    let services = document.sections("service", remarks);
    let services = bounded(services, |(_, section)| section.at, MAX_SERVICES, "services", remarks);
    services.into_iter().for_each(|(name, section)| service(&name, section, parsed));
    let remarks = &mut parsed.remarks;
    let collections = document.sections("collection", remarks);
    let collections = bounded(collections, |(_, section)| section.at, MAX_COLLECTIONS, "collections", remarks);
    collections.into_iter().for_each(|(name, section)| collection(&name, section, parsed));
    let remarks = &mut parsed.remarks;
    let hooks = document.each("hook", remarks);
    let hooks = bounded(hooks, |section| section.at, MAX_HOOKS, "hooks", remarks);
    hooks.into_iter().for_each(|section| hook(section, parsed));
    let remarks = &mut parsed.remarks;
    let schedules = document.sections("schedule", remarks);
    let schedules = bounded(schedules, |(_, section)| section.at, MAX_SCHEDULES, "schedules", remarks);
    schedules.into_iter().for_each(|(name, section)| schedule(name, section, parsed));
    document.end(&mut parsed.remarks);
}

fn bounded<T>(
    mut items: Vec<T>,
    at: impl Fn(&T) -> usize,
    most: usize,
    what: &str,
    remarks: &mut Vec<Remark>,
) -> Vec<T> {
    if let Some(first) = items.get(most) {
        remarks.push((at(first), format!("there are {} {what}: at most {most}", items.len())));
        items.truncate(most);
    }
    items
}

/// A name that stands as a key.
fn name<T: FromStr<Err: ToString>>(text: &str, at: usize, remarks: &mut Vec<Remark>) -> Option<T> {
    text.parse().map_err(|error: T::Err| remarks.push((at, told(&error.to_string())))).ok()
}

fn limits(section: &mut Section<'_>, remarks: &mut Vec<Remark>) -> Limits {
    let mut limit = |key, range: RangeInclusive<Duration>| {
        section.value(key, remarks, |value| time(value, range)).map(|(_, limit)| limit)
    };
    Limits {
        start_timeout: limit("start_timeout", TIMEOUTS),
        stop_timeout: limit("stop_timeout", TIMEOUTS),
        kill_timeout: limit("kill_timeout", TIMEOUTS),
        restart_delay: limit("restart_delay", DELAYS),
        auto_kill: section.value("auto_kill", remarks, truth).map(|(_, kill)| kill),
    }
}

fn service(text: &str, mut section: Section<'_>, parsed: &mut Parsed) {
    let remarks = &mut parsed.remarks;
    let at = section.at;
    let name: Option<ServiceName> = name(text, at, remarks);
    let limits = limits(&mut section, remarks);
    let health = section.section("health", remarks).and_then(|mut health| {
        if name.as_ref().is_some_and(|name| name.of_agent().is_some()) {
            remarks.push((health.at, "`health`: it is for instances, and this is an agent".to_owned()));
        }
        let path = health.value("path", remarks, path);
        let path = health.needed("path", path, remarks);
        let expect = health.value("expect", remarks, parsed_text::<Expected>);
        health.end(remarks);
        let expect = expect.map(|(_, expect)| expect).unwrap_or_default();
        path.map(|(_, path)| Health { path, expect })
    });
    section.end(remarks);
    if let Some(name) = name {
        parsed.places.services.insert(name.clone(), at);
        parsed.config.services.insert(name, ServiceSettings { limits, health });
    }
}

fn parsed_text<T: FromStr<Err: ToString>>(value: DeValue<'_>) -> Result<T, String> {
    parsed(value)
}

/// A path to get, with its query.
fn path(value: DeValue<'_>) -> Result<String, String> {
    const LONGEST: usize = 1000;
    let path = text(value)?;
    if path.starts_with('/') && path.len() <= LONGEST && path.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        return Ok(path);
    }
    Err(format!("`{}` is no path to get: write one like \"/shop/health\", of ASCII without blanks", shown(&path)))
}

/// The words of [`Mode`], [`OnFailure`] and [`HookFailure`].
const MODES: [(&str, Mode); 2] = [("sequential", Mode::Sequential), ("parallel", Mode::Parallel)];
const ON_FAILURE: [(&str, OnFailure); 2] = [("stop", OnFailure::Stop), ("continue", OnFailure::Continue)];
const HOOK_FAILURE: [(&str, HookFailure); 2] = [("abort", HookFailure::Abort), ("warn", HookFailure::Warn)];

fn collection(text: &str, mut section: Section<'_>, parsed: &mut Parsed) {
    let remarks = &mut parsed.remarks;
    let at = section.at;
    let name: Option<ServiceName> = name(text, at, remarks);
    let limits = limits(&mut section, remarks);
    let mode = section.value("mode", remarks, |value| word(value, &MODES)).map(|(_, mode)| mode).unwrap_or_default();
    let max_parallel = section.value("max_parallel", remarks, |value| number(&value, 1..=1000));
    if let Some((at, _)) = max_parallel
        && mode != Mode::Parallel
    {
        remarks.push((at, "`max_parallel`: it takes `mode = \"parallel\"`".to_owned()));
    }
    let on_failure = section.value("on_failure", remarks, |value| word(value, &ON_FAILURE));
    let failure_budget = section.value("failure_budget", remarks, budget);
    let members = section.list("members", remarks, parsed_text::<ServiceName>);
    let (_, members) = section.needed("members", members, remarks).unwrap_or_default();
    section.end(remarks);
    let Some(name) = name else { return };
    if name.as_str() == "grid" {
        remarks.push((at, "`grid` is taken: hooks on `grid` are on the grid as a whole".to_owned()));
        return;
    }
    let (places, members) = members.into_iter().unzip();
    parsed.places.collections.insert(name.clone(), (at, places));
    let collection = Collection {
        limits,
        mode,
        max_parallel: max_parallel.and_then(|(_, most)| NonZeroU32::new(u32::try_from(most).ok()?)),
        on_failure: on_failure.map(|(_, on_failure)| on_failure).unwrap_or_default(),
        failure_budget: failure_budget.map(|(_, budget)| budget),
        members,
    };
    parsed.config.collections.insert(name, collection);
}

/// How many services may fail: `3`, or `"10%"`.
fn budget(value: DeValue<'_>) -> Result<Budget, String> {
    if let DeValue::String(text) = &value {
        return text.parse();
    }
    let count = number(&value, 0..=1_000_000)?;
    Ok(Budget::Count(u32::try_from(count).unwrap_or(u32::MAX)))
}

fn hook(mut section: Section<'_>, parsed: &mut Parsed) {
    let remarks = &mut parsed.remarks;
    let event = section.value("event", remarks, parsed_text);
    let event = section.needed("event", event, remarks);
    let targets = section.list("targets", remarks, parsed_text::<HookTarget>);
    let targets = section.needed("targets", targets, remarks);
    if let Some((at, targets)) = &targets {
        few_targets(*at, targets.len(), remarks);
    }
    let program = section.value("program", remarks, text);
    let program = section.needed("program", program, remarks);
    let timeout = section.value("timeout", remarks, |value| time(value, TIMEOUTS));
    let on_failure = section.value("on_failure", remarks, |value| word(value, &HOOK_FAILURE));
    let user = section.value("user", remarks, user);
    let environment: BTreeMap<String, String> = match section.section("environment", remarks) {
        Some(environment) => {
            environment.rest(remarks, variable).into_iter().map(|(key, (_, value))| (key, value)).collect()
        }
        None => BTreeMap::new(),
    };
    let (at, secrets) = section.list("secrets", remarks, secret).unwrap_or_default();
    for (at, secret) in &secrets {
        if environment.contains_key(secret) {
            remarks.push((*at, format!("`secrets`: `{secret}` is in `environment`, too")));
        }
    }
    for (what, count, at) in [("environment", environment.len(), section.at), ("secrets", secrets.len(), at)] {
        if count > MAX_ENVIRONMENT {
            remarks.push((at, format!("`{what}`: there are {count}: at most {MAX_ENVIRONMENT}")));
        }
    }
    let size: usize = environment.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if size > MAX_ENVIRONMENT_BYTES {
        remarks.push((section.at, format!("`environment`: it has {size} bytes: at most {MAX_ENVIRONMENT_BYTES}")));
    }
    section.end(remarks);
    if let (Some((_, targets)), Some((program_at, program))) = (targets, program) {
        // Where the event is wrong, all of it is refused; what else is wrong with the hook is told at the same time.
        let any = HookEvent { phase: Phase::Pre, around: Around::Command(Command::Restart) };
        let event = event.map_or(any, |(_, event)| event);
        let (places, targets) = targets.into_iter().unzip();
        parsed.places.hooks.push((places, program_at));
        parsed.config.hooks.push(Hook {
            event,
            targets,
            program,
            timeout: timeout.map_or(HOOK_TIMEOUT, |(_, timeout)| timeout),
            on_failure: on_failure.map(|(_, on_failure)| on_failure).unwrap_or_default(),
            user: user.map(|(_, user)| user),
            environment,
            secrets: secrets.into_iter().map(|(_, secret)| secret).collect(),
        });
    }
}

fn few_targets(at: usize, count: usize, remarks: &mut Vec<Remark>) {
    if count == 0 || count > MAX_TARGETS {
        remarks.push((at, format!("`targets`: there are {count}: 1 to {MAX_TARGETS}")));
    }
}

/// The name of a user of a host.
fn user(value: DeValue<'_>) -> Result<String, String> {
    const LONGEST: usize = 32;
    let user = text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    let begins_well = user.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if begins_well && user.len() <= LONGEST && user.chars().all(allowed) {
        return Ok(user);
    }
    Err(format!("`{}` is no name of a user", shown(&user)))
}

fn variable(name: &str, value: DeValue<'_>) -> Result<String, String> {
    variable_name(name)?;
    let value = text(value).map_err(|what| format!("`{name}`: {what}"))?;
    if value.len() > MAX_VALUE || value.contains('\0') {
        return Err(format!("`{name}`: it has at most {MAX_VALUE} bytes, none of them zero"));
    }
    Ok(value)
}

fn secret(value: DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    variable_name(&name).map(|()| name)
}

/// What can be called so in an environment, and is not the grid's own.
fn variable_name(name: &str) -> Result<(), String> {
    const LONGEST: usize = 64;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_well || name.len() > LONGEST || !name.chars().all(allowed) {
        return Err(format!("`{}` is no name of a variable: letters, digits and `_`", read::shown(name)));
    }
    if name.starts_with("TOMCAT_GRID_") {
        return Err(format!("`{name}`: what begins with TOMCAT_GRID_ is set by the grid"));
    }
    if !may_be_given(name) {
        return Err(format!("`{name}`: no hook can be given that: another program could run in its place"));
    }
    Ok(())
}

fn schedule(title: String, mut section: Section<'_>, parsed: &mut Parsed) {
    let remarks = &mut parsed.remarks;
    let name: Option<MachineName> = name(&title, section.at, remarks);
    let cron = section.value("cron", remarks, text);
    let cron = section.needed("cron", cron, remarks);
    let timezone = section.value("timezone", remarks, text);
    let command = section.value("command", remarks, command);
    let command = section.needed("command", command, remarks);
    let enabled = section.value("enabled", remarks, truth);
    section.end(remarks);
    let (zone_at, timezone) = timezone.unwrap_or((section_at(cron.as_ref()), "UTC".to_owned()));
    // Each is looked at for itself: one that is wrong must not hide the other.
    let no_zone = match Timetable::read("0 0 * * *", &timezone) {
        Err(NoTimetable::Zone(what)) => Some(what),
        _ => None,
    };
    if let Some((cron_at, cron)) = &cron
        && let Err(NoTimetable::Cron(what)) = Timetable::read(cron, if no_zone.is_some() { "UTC" } else { &timezone })
    {
        remarks.push((*cron_at, format!("`cron`: {}", told(&what))));
    }
    if let Some(what) = no_zone {
        remarks.push((zone_at, format!("`timezone`: {}", told(&what))));
    }
    if let (Some(_), Some((_, cron)), Some((at, (command, targets)))) = (name, cron, command) {
        let enabled = enabled.is_none_or(|(_, enabled)| enabled);
        parsed.places.schedules.insert(title.clone(), at);
        parsed.config.schedules.insert(title, Schedule { cron, timezone, command, targets, enabled });
    }
}

fn section_at<T>(value: Option<&Placed<T>>) -> usize {
    value.map_or(0, |(at, _)| *at)
}

/// A command with its targets, like `restart front`.
fn command(value: DeValue<'_>) -> Result<(Command, Vec<Target>), String> {
    let text = text(value)?;
    let mut words = text.split_whitespace();
    let command: Command = words.next().unwrap_or_default().parse().map_err(|error: String| told(&error))?;
    let targets = words.map(|word| word.parse().map_err(|error| format!("{error}")));
    let targets: Vec<Target> = targets.collect::<Result<_, String>>().map_err(|error| told(&error))?;
    match targets.len() {
        0 => Err(format!("on what? Write like \"{command} front\"")),
        count if count > MAX_TARGETS => Err(format!("it names {count} targets: at most {MAX_TARGETS}")),
        _ => Ok((command, targets)),
    }
}
