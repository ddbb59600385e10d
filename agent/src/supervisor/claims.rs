//! Which grid an instance belongs to: a claim in its base names one, and agents of others leave it alone.

use std::{ffi::OsStr, io, path::Path};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::os::files::Dir;

/// The name of the claim in a `CATALINA_BASE`.
pub const FILE: &str = ".tomcat-grid";

/// The largest claim that is read, in bytes.
const MAX_FILE: u64 = 4096;

/// What is written in a claim.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    grid: Uuid,
    grid_name: String,
    note: String,
}

/// What came of claiming a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours.
    Ours,
    /// It could not be marked as ours; nobody else has marked it.
    Unmarked(String),
    /// It belongs to another grid, or is marked in a way that cannot be understood.
    Other(String),
}

/// Claims a base for a grid, unless another has claimed it.
pub fn claim(base: &Path, grid: Uuid, grid_name: &str) -> Claimed {
    let dir = match Dir::open(base) {
        Ok(dir) => dir,
        Err(error) => return Claimed::Unmarked(format!("the base cannot be opened: {error}")),
    };
    match read(&dir, base) {
        Ok(Some(claim)) if claim.grid == grid => return Claimed::Ours,
        Ok(Some(claim)) => return of_other(base, &claim),
        Ok(None) => {}
        Err(why) => return Claimed::Other(why),
    }
    let note = format!("This Tomcat belongs to the grid {grid_name}. Remove this file only when that grid is gone.");
    let claim = Claim { grid, grid_name: grid_name.to_owned(), note };
    let content = serde_json::to_vec_pretty(&claim).expect("a claim is plain data");
    match dir.create_whole(FILE, &content) {
        Ok(()) => Claimed::Ours,
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match read(&dir, base) {
            Ok(Some(claim)) if claim.grid == grid => Claimed::Ours,
            Ok(Some(claim)) => of_other(base, &claim),
            Ok(None) => Claimed::Unmarked("the claim in the base came and went".to_owned()),
            Err(why) => Claimed::Other(why),
        },
        Err(error) => Claimed::Unmarked(format!(
            "no claim could be written into the base ({error}), so another grid could take it too"
        )),
    }
}

fn of_other(base: &Path, claim: &Claim) -> Claimed {
    let name: String = claim.grid_name.chars().filter(|c| !c.is_control()).take(64).collect();
    Claimed::Other(format!(
        "{} belongs to the grid `{name}` ({}); if that grid is gone, remove {FILE} there",
        base.display(),
        claim.grid
    ))
}

/// Reads the claim of a base. Whoever cannot tell whose it is leaves the base alone.
fn read(dir: &Dir, base: &Path) -> Result<Option<Claim>, String> {
    let file = base.join(FILE);
    match dir.read(OsStr::new(FILE), MAX_FILE) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|_| {
            format!("{} is left alone: {} holds no claim of a grid; remove it", base.display(), file.display())
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "{} is left alone: the claim {} cannot be read ({error}); let this agent read it, or remove it if no grid \
             needs it",
            base.display(),
            file.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_grid_has_it() {
        let base = tempfile::tempdir().unwrap();
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(claim(base.path(), first, "one"), Claimed::Ours);
        assert_eq!(claim(base.path(), first, "one"), Claimed::Ours);
        let Claimed::Other(why) = claim(base.path(), second, "two") else { panic!("two grids have one base") };
        assert!(why.contains("`one`"), "{why}");
    }

    #[test]
    fn what_is_no_claim_keeps_everybody_off() {
        let base = tempfile::tempdir().unwrap();
        let victim = base.path().join("victim");
        std::fs::write(&victim, "kept").unwrap();
        std::os::unix::fs::symlink(&victim, base.path().join(FILE)).unwrap();
        assert!(matches!(claim(base.path(), Uuid::nil(), "g"), Claimed::Other(_)));
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
        std::fs::remove_file(base.path().join(FILE)).unwrap();
        std::fs::write(base.path().join(FILE), "nonsense").unwrap();
        assert!(matches!(claim(base.path(), Uuid::nil(), "g"), Claimed::Other(_)));
    }
}
