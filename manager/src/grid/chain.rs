//! Checks the chain of the audit: that no record was changed, removed, put in or moved.
//!
//! The chain alone cannot tell that records were cut from its end, or that all of it was written anew by somebody who
//! can compute hashes. A head that was kept elsewhere can: see [`Head`].

use std::{fmt, str::FromStr};

use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::{BEGINNING, Deed, Link};

/// A record as it is stored; nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: i64,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The rest.
    pub deed: Deed,
    /// Its link of the chain.
    pub hash: Vec<u8>,
}

/// A record's place and its link, written `SEQ:HASH`. Whoever keeps the head of a chain can tell later whether the
/// chain still holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The place.
    pub seq: u64,
    /// The link.
    pub link: Link,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex(&self.link))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a head is written SEQ:HASH, as `audit verify` shows it".to_owned();
        let (seq, hash) = text.trim().split_once(':').ok_or_else(wrong)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or_else(wrong)?;
        let mut link = BEGINNING;
        if hash.len() != 2 * link.len() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for (byte, index) in link.iter_mut().zip((0..hash.len()).step_by(2)) {
            *byte = u8::from_str_radix(&hash[index..index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self { seq, link })
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Verdict {
    /// Whether the chain is whole.
    pub ok: bool,
    /// How many records are whole, from the first on.
    pub records: u64,
    /// The last of them, as `SEQ:HASH`, if the chain is whole and not empty.
    pub head: Option<String>,
    /// The first record that is not as it must be.
    pub broken_at: Option<u64>,
    /// The same in words.
    pub message: String,
}

/// Takes the records of a chain, one after the other.
#[derive(Debug)]
pub struct Checker {
    last: Head,
    expect: Option<Head>,
    broken: Option<(u64, String)>,
}

impl Checker {
    /// Begins with the first record; `expect` is a head that the chain must still hold.
    pub fn new(expect: Option<Head>) -> Self {
        Self { last: Head { seq: 0, link: BEGINNING }, expect, broken: None }
    }

    /// Takes the next record. Returns whether it is as it must be; nothing after one that is not can be judged.
    pub fn take(&mut self, stored: &Stored) -> bool {
        if self.broken.is_none() {
            match self.judge(stored) {
                Ok(head) => self.last = head,
                Err(broken) => self.broken = Some(broken),
            }
        }
        self.broken.is_none()
    }

    fn judge(&self, stored: &Stored) -> Result<Head, (u64, String)> {
        let expected = self.last.seq + 1;
        let seq = u64::try_from(stored.seq).unwrap_or(0);
        if seq < expected {
            return Err((seq, format!("record {} was put in: the first record is 1", stored.seq)));
        }
        if seq > expected {
            let message = match seq - expected {
                1 => format!("record {expected} was removed"),
                _ => format!("records {expected} to {} were removed", seq - 1),
            };
            return Err((expected, message));
        }
        let at = Timestamp::from_millis(stored.at);
        let link = stored.deed.link(&self.last.link, seq, at);
        if stored.hash != link || at.as_millis() != stored.at {
            let message = match self.last.seq {
                0 => "record 1 was changed, put in or moved".to_owned(),
                last => format!(
                    "record {seq} does not follow from record {last}: one of the two was changed, put in or moved"
                ),
            };
            return Err((seq, message));
        }
        if let Some(expect) = self.expect
            && expect.seq == seq
            && expect.link != link
        {
            return Err((
                seq,
                format!("record {seq} is another than the expected one: it, or one before it, was written anew"),
            ));
        }
        Ok(Head { seq, link })
    }

    /// What came of it.
    pub fn finish(self) -> Verdict {
        let Head { seq: records, .. } = self.last;
        let cut = self.expect.filter(|expect| expect.seq > records).map(|expect| {
            let message = match records {
                0 => format!("there are no records, and record {} is expected: all were removed", expect.seq),
                _ => {
                    format!("the last record is {records}, and record {} is expected: the end was cut off", expect.seq)
                }
            };
            (records + 1, message)
        });
        if let Some((at, message)) = self.broken.or(cut) {
            return Verdict { ok: false, records, head: None, broken_at: Some(at), message };
        }
        let (head, message) = match records {
            0 => (None, "there are no records".to_owned()),
            1 => (Some(self.last.to_string()), "1 record, and it is whole".to_owned()),
            _ => (Some(self.last.to_string()), format!("{records} records, and the chain is whole")),
        };
        Verdict { ok: true, records, head, broken_at: None, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes records on after a head.
    fn written(mut head: Head, subjects: &[&str]) -> Vec<Stored> {
        let record = |subject: &&str| {
            let text = |text: &str| text.to_owned();
            let deed = Deed {
                actor: text("alice"),
                credential: text("session"),
                from: text("10.0.0.7"),
                action: text("trigger-stop"),
                subject: text(subject),
                outcome: text("done"),
                detail: String::new(),
            };
            let seq = head.seq + 1;
            let at = i64::try_from(seq).unwrap() * 1000;
            head = Head { seq, link: deed.link(&head.link, seq, Timestamp::from_millis(at)) };
            Stored { seq: i64::try_from(seq).unwrap(), at, deed, hash: head.link.to_vec() }
        };
        subjects.iter().map(record).collect()
    }

    fn chain() -> Vec<Stored> {
        written(Head { seq: 0, link: BEGINNING }, &["a", "b", "c", "d", "e"])
    }

    fn head(record: &Stored) -> Head {
        Head { seq: u64::try_from(record.seq).unwrap(), link: record.hash.clone().try_into().unwrap() }
    }

    fn check(chain: &[Stored], expect: Option<Head>) -> Verdict {
        let mut checker = Checker::new(expect);
        chain.iter().take_while(|record| checker.take(record)).for_each(drop);
        checker.finish()
    }

    #[test]
    fn a_whole_chain_is_whole() {
        let chain = chain();
        let verdict = check(&chain, Some(head(&chain[2])));
        assert_eq!((verdict.ok, verdict.records, verdict.broken_at), (true, 5, None), "{verdict:?}");
        assert_eq!(verdict.head.unwrap().parse(), Ok(head(&chain[4])));
        let empty = check(&[], None);
        assert_eq!((empty.ok, empty.records, empty.head), (true, 0, None));
    }

    #[test]
    fn the_table_of_what_is_found() {
        type Tamper = fn(&mut Vec<Stored>);
        let cases: [(&str, Tamper, u64); 11] = [
            ("changed", |chain| chain[2].deed.actor = "mallory".to_owned(), 3),
            ("another time", |chain| chain[2].at += 1, 3),
            ("no time at all", |chain| chain[2].at = i64::MAX, 3),
            ("another hash", |chain| chain[2].hash[0] ^= 1, 3),
            ("no hash", |chain| chain[2].hash.clear(), 3),
            ("removed", |chain| drop(chain.remove(2)), 3),
            ("the first removed", |chain| drop(chain.remove(0)), 1),
            (
                "removed, and numbered anew",
                |chain| {
                    chain.remove(2);
                    chain[2..].iter_mut().for_each(|record| record.seq -= 1);
                },
                3,
            ),
            (
                "moved",
                |chain| {
                    chain.swap(1, 2);
                    (chain[1].seq, chain[2].seq) = (2, 3);
                },
                2,
            ),
            (
                "put in",
                |chain| {
                    chain[2..].iter_mut().for_each(|record| record.seq += 1);
                    let forged = written(head(&chain[1]), &["x"]);
                    chain.insert(2, forged[0].clone());
                },
                // The forged one fits what is before it; what comes after does not fit it.
                4,
            ),
            (
                "put in before the first",
                |chain| {
                    let first = Stored { seq: -7, ..chain[0].clone() };
                    chain.insert(0, first);
                },
                0,
            ),
        ];
        for (what, tamper, broken_at) in cases {
            let mut chain = chain();
            tamper(&mut chain);
            let verdict = check(&chain, None);
            assert_eq!((verdict.ok, verdict.broken_at), (false, Some(broken_at)), "{what}: {verdict:?}");
            assert!(verdict.head.is_none() && verdict.records < broken_at.max(1), "{what}: {verdict:?}");
        }
    }

    #[test]
    fn only_a_head_that_was_kept_tells_of_a_cut_and_of_a_chain_written_anew() {
        let whole = chain();
        let kept = Some(head(&whole[4]));
        let anew = [&whole[..2], &written(head(&whole[1]), &["x", "y", "z"])].concat();
        for (forged, broken_at) in [(whole[..3].to_vec(), 4), (Vec::new(), 1), (anew, 5)] {
            assert!(check(&forged, None).ok);
            let verdict = check(&forged, kept);
            assert_eq!((verdict.ok, verdict.broken_at), (false, Some(broken_at)), "{verdict:?}");
        }
    }

    #[test]
    fn the_table_of_heads() {
        let hash = "0f".repeat(32);
        for (text, ok) in [
            (format!("7:{hash}"), true),
            (format!(" 7:{hash}\n"), true),
            (format!("0:{hash}"), false),
            (format!("-1:{hash}"), false),
            (hash.clone(), false),
            (format!("7:{}", &hash[2..]), false),
            (format!("7:{}é", &hash[2..]), false),
            (format!("7:{}", "+f".repeat(32)), false),
            (String::new(), false),
        ] {
            assert_eq!(text.parse::<Head>().is_ok(), ok, "{text}");
        }
    }
}
