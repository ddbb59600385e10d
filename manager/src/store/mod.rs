//! All SQL: `grid.db` for what must not be lost, `history.db` for what may be thrown away.
//!
//! Each has one connection that writes and a few that read. Methods are verbs of the domain; every change of more
//! than one row is a transaction. Queries are checked by the tests, each of which runs on the migrated schema.

pub mod audit;
pub mod configuration;
pub mod events;
pub mod journal;
pub mod machines;
pub mod meta;
pub mod operations;
pub mod programs;
pub mod schedules;
pub mod services;
pub mod tags;
pub mod tokens;
pub mod users;

use std::{path::Path, time::Duration};

use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

static GRID: Migrator = sqlx::migrate!("../migrations/grid");
static HISTORY: Migrator = sqlx::migrate!("../migrations/history");

/// How many connections read each database.
const READERS: u32 = 4;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there.
    #[error("not found")]
    NotFound,
    /// It is there already, or is in the way.
    #[error("{0}")]
    Conflict(String),
    /// The disk is full.
    #[error("the manager's disk is full")]
    DiskFull,
    /// Something else.
    #[error(transparent)]
    Other(anyhow::Error),
}

/// What a method of the store returns.
pub type Result<T> = std::result::Result<T, StoreError>;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        const SQLITE_FULL: &str = "13";
        const SQLITE_IOERR_WRITE: &str = "778";
        const SQLITE_IOERR_SHMSIZE: &str = "4874";
        match &error {
            sqlx::Error::RowNotFound => StoreError::NotFound,
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                StoreError::Conflict("something of this name is there already".to_owned())
            }
            sqlx::Error::Database(database)
                if database
                    .code()
                    .is_some_and(|code| [SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE].contains(&&*code)) =>
            {
                StoreError::DiskFull
            }
            _ => StoreError::Other(error.into()),
        }
    }
}

/// One database.
#[derive(Debug, Clone)]
pub struct Database {
    /// The one connection that writes.
    pub(crate) write: SqlitePool,
    /// Those that read.
    pub(crate) read: SqlitePool,
}

/// The databases of a manager.
#[derive(Debug, Clone)]
pub struct Store {
    /// What must not be lost.
    pub(crate) grid: Database,
    /// What may be thrown away.
    pub(crate) history: Database,
}

impl Store {
    /// Opens the databases in a directory, creates them where they are missing, and brings them up to this version.
    pub async fn open(dir: &Path) -> anyhow::Result<Self> {
        let grid = Database::open(&dir.join("grid.db"), SqliteSynchronous::Full, &GRID).await?;
        let history = Database::open(&dir.join("history.db"), SqliteSynchronous::Normal, &HISTORY).await?;
        Ok(Self { grid, history })
    }

    /// How many connections are in use now, by database and by what they are for.
    pub fn busy(&self) -> [(&'static str, &'static str, u32); 4] {
        [
            ("grid", "write", &self.grid.write),
            ("grid", "read", &self.grid.read),
            ("history", "write", &self.history.write),
            ("history", "read", &self.history.read),
        ]
        .map(|(database, r#use, pool)| {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            (database, r#use, pool.size().saturating_sub(idle))
        })
    }

    /// Closes every connection, so that the files are whole.
    pub async fn close(&self) {
        for pool in [&self.grid.read, &self.history.read, &self.grid.write, &self.history.write] {
            pool.close().await;
        }
    }
}

impl Database {
    async fn open(file: &Path, synchronous: SqliteSynchronous, migrations: &Migrator) -> anyhow::Result<Self> {
        use anyhow::Context;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let opening = || format!("open the database {}", file.display());
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.clone())
            .await
            .with_context(opening)?;
        migrations.run(&write).await.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => anyhow::anyhow!(
                "the database {} was written by a newer version of Tomcat Grid: start that version, or restore a backup",
                file.display()
            ),
            error => anyhow::Error::from(error).context(format!("bring the database {} up to this version", file.display())),
        })?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .with_context(opening)?;
        Ok(Self { write, read })
    }
}

#[cfg(test)]
pub(crate) async fn temporary() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).await.expect("a store");
    (dir, store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_version_s_database_is_refused() {
        let (dir, store) = temporary().await;
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (9999, 'future', 1, x'00', 0)",
        )
        .execute(&store.grid.write)
        .await
        .unwrap();
        store.close().await;
        let error = Store::open(dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("newer version"), "{error}");
    }

    #[tokio::test]
    async fn settings_are_as_they_must_be() {
        let (_dir, store) = temporary().await;
        for (database, synchronous) in [(&store.grid, 2), (&store.history, 1)] {
            let (journal,): (String,) = sqlx::query_as("pragma journal_mode").fetch_one(&database.write).await.unwrap();
            let (sync,): (i64,) = sqlx::query_as("pragma synchronous").fetch_one(&database.write).await.unwrap();
            let (keys,): (i64,) = sqlx::query_as("pragma foreign_keys").fetch_one(&database.write).await.unwrap();
            assert_eq!((journal.as_str(), sync, keys), ("wal", synchronous, 1));
        }
    }
}
