//! Reads values out of a TOML document, and remarks what is wrong with each.

use std::{collections::BTreeMap, ops::RangeInclusive, str::FromStr, time::Duration};

use jiff::SignedDuration;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::mistake::Remark;

/// A value and where it stands.
pub type Placed<T> = (usize, T);

/// A table whose keys are taken one after the other; what is left in the end is unknown.
pub struct Section<'t> {
    /// Where it stands.
    pub at: usize,
    title: String,
    entries: BTreeMap<String, (usize, Spanned<DeValue<'t>>)>,
    known: Vec<&'static str>,
    /// The keys whose values cannot be read.
    unreadable: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The document as a whole.
    pub fn document(table: DeTable<'t>) -> Self {
        Self::of(0, "the configuration".to_owned(), table)
    }

    fn of(at: usize, title: String, table: DeTable<'t>) -> Self {
        let entry = |(key, value): (Spanned<_>, _)| {
            let at = key.span().start;
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), (at, value))
        };
        Self { at, title, entries: table.into_iter().map(entry).collect(), known: Vec::new(), unreadable: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, Spanned<DeValue<'t>>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    /// A value, which `read` makes something of.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        remarks: &mut Vec<Remark>,
        read: impl FnOnce(DeValue<'t>) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let (_, value) = self.take(key)?;
        let at = value.span().start;
        match read(value.into_inner()) {
            Ok(value) => Some((at, value)),
            Err(what) => {
                remarks.push((at, format!("`{key}`: {what}")));
                self.unreadable.push(key);
                None
            }
        }
    }

    /// The items of a list, each of which `read` makes something of; those that cannot be read are left out.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        remarks: &mut Vec<Remark>,
        mut read: impl FnMut(DeValue<'t>) -> Result<T, String>,
    ) -> Option<Placed<Vec<Placed<T>>>> {
        let (at, items) = self.value(key, remarks, |value| match value {
            DeValue::Array(items) => Ok(items),
            other => Err(unexpected("a list", &other)),
        })?;
        let mut list = Vec::new();
        for item in items {
            let at = item.span().start;
            match read(item.into_inner()) {
                Ok(item) => list.push((at, item)),
                Err(what) => remarks.push((at, format!("`{key}`: {what}"))),
            }
        }
        Some((at, list))
    }

    /// A table in it.
    pub fn section(&mut self, key: &'static str, remarks: &mut Vec<Remark>) -> Option<Self> {
        let (at, value) = self.take(key)?;
        section(at, format!("`{key}`"), value, remarks)
    }

    /// The tables of a table, by their names.
    pub fn sections(&mut self, key: &'static str, remarks: &mut Vec<Remark>) -> Vec<(String, Self)> {
        let Some(all) = self.section(key, remarks) else { return Vec::new() };
        let read = |(name, (at, value)): (String, (usize, Spanned<DeValue<'t>>))| {
            section(at, format!("{key} `{}`", shown(&name)), value, remarks).map(|section| (name, section))
        };
        all.entries.into_iter().filter_map(read).collect()
    }

    /// The tables of a list of tables, in order.
    pub fn each(&mut self, key: &'static str, remarks: &mut Vec<Remark>) -> Vec<Self> {
        let Some((_, value)) = self.take(key) else { return Vec::new() };
        let at = value.span().start;
        let DeValue::Array(items) = value.into_inner() else {
            remarks.push((at, format!("`{key}` is a list of tables: write [[{key}]]")));
            return Vec::new();
        };
        let read = |item: Spanned<DeValue<'t>>| section(item.span().start, format!("`{key}`"), item, remarks);
        items.into_iter().filter_map(read).collect()
    }

    /// What is left, with the names of the keys; for tables whose keys are not known beforehand.
    pub fn rest<T>(
        self,
        remarks: &mut Vec<Remark>,
        mut read: impl FnMut(&str, DeValue<'t>) -> Result<T, String>,
    ) -> Vec<(String, Placed<T>)> {
        let mut found = Vec::new();
        for (key, (at, value)) in self.entries {
            match read(&key, value.into_inner()) {
                Ok(value) => found.push((key, (at, value))),
                Err(what) => remarks.push((at, what)),
            }
        }
        found
    }

    /// Something that must be there.
    pub fn needed<T>(&self, key: &'static str, value: Option<T>, remarks: &mut Vec<Remark>) -> Option<T> {
        // One that is there and cannot be read was remarked.
        if value.is_none() && !self.unreadable.contains(&key) {
            remarks.push((self.at, format!("{}: `{key}` is missing", self.title)));
        }
        value
    }

    /// Remarks what nothing has asked for.
    pub fn end(self, remarks: &mut Vec<Remark>) {
        let known = || self.known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        for (key, (at, _)) in &self.entries {
            remarks.push((*at, format!("{} has no key `{}`: it has {}", self.title, shown(key), known())));
        }
    }
}

fn section<'t>(
    at: usize,
    title: String,
    value: Spanned<DeValue<'t>>,
    remarks: &mut Vec<Remark>,
) -> Option<Section<'t>> {
    match value.into_inner() {
        DeValue::Table(table) => Some(Section::of(at, title, table)),
        other => {
            remarks.push((at, format!("{title}: {}", unexpected("a table", &other))));
            None
        }
    }
}

/// A text of others as a message shows it.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    cut(text, LONGEST)
}

/// What is wrong with a text of others, in a whole sentence: its end says what to write.
pub fn told(message: &str) -> String {
    const LONGEST: usize = 1000;
    cut(message, LONGEST)
}

fn cut(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn unexpected(expected: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("it is {expected}, and this is {found}")
}

/// A text.
pub fn text(value: DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.into_owned()),
        other => Err(unexpected("a text", &other)),
    }
}

/// A text with a meaning.
pub fn parsed<T: FromStr<Err: ToString>>(value: DeValue<'_>) -> Result<T, String> {
    text(value)?.parse().map_err(|error: T::Err| told(&error.to_string()))
}

/// One of some words.
pub fn word<T: Copy>(value: DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let text = text(value)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        format!("`{}` is not among {}", shown(&text), known.join(", "))
    })
}

/// Whether.
pub fn truth(value: DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(truth) => Ok(truth),
        other => Err(unexpected("true or false", &other)),
    }
}

/// A whole number.
pub fn number(value: &DeValue<'_>, range: RangeInclusive<i64>) -> Result<i64, String> {
    let DeValue::Integer(digits) = value else { return Err(unexpected("a whole number", value)) };
    let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{digits} is not from {} to {}", range.start(), range.end()))
}

/// A time.
pub fn time(value: DeValue<'_>, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    const LIKE: &str = "write one like \"30s\", \"5m\" or \"1h 30m\"";
    let text = match value {
        DeValue::String(text) => text,
        other => return Err(format!("{}: {LIKE}", unexpected("a time", &other))),
    };
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    let time = time.ok_or_else(|| format!("`{}` is no time: {LIKE}", shown(&text)))?;
    if range.contains(&time) {
        return Ok(time);
    }
    Err(format!("{} is not from {} to {}", shown(&text), written(*range.start()), written(*range.end())))
}

/// A time as it is written.
fn written(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 3600 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds => format!("{seconds}s"),
    }
}
