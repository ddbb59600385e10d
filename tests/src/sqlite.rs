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
