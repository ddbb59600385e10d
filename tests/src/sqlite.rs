//! A manager's databases as another program meets them, over a connection of its own.

use std::{path::Path, process::Command};

use crate::programs::{self, Ran};

/// Runs statements on a database, all in one transaction.
pub fn execute(database: &Path, statements: &str) -> Ran {
    let program = "import sqlite3, sys\n\
                   c = sqlite3.connect(sys.argv[1], timeout=10)\n\
                   c.executescript('begin immediate;' + sys.argv[2] + ';commit;')\n\
                   c.close()";
    programs::run(Command::new("python3").args(["-c", program]).arg(database).arg(statements))
}

/// Runs statements that must succeed.
#[track_caller]
pub fn must(database: &Path, statements: &str) {
    let ran = execute(database, statements);
    assert_eq!(ran.code, 0, "{statements}: {}", ran.err);
}

/// What a query that answers with one number says.
#[track_caller]
pub fn number(database: &Path, query: &str) -> u64 {
    let program = "import sqlite3, sys\n\
                   c = sqlite3.connect(sys.argv[1], timeout=10)\n\
                   print(c.execute(sys.argv[2]).fetchone()[0])";
    let ran = programs::run(Command::new("python3").args(["-c", program]).arg(database).arg(query));
    ran.out.trim().parse().unwrap_or_else(|_| panic!("{query}: {}{}", ran.out, ran.err))
}
