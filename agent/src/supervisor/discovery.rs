//! Which Tomcats are on the machine: the declared ones, the directories below the roots that hold
//! `conf/server.xml`, and the processes that run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use protocol::limits::MAX_INSTANCES;

use crate::config::{Instance, Settings};

/// What was found in the file system.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The real paths of the bases.
    pub bases: BTreeSet<PathBuf>,
    /// What an operator should know: directories that cannot be read, declarations that lead nowhere.
    pub notes: Vec<String>,
}

/// Looks through the roots and the declarations.
pub fn look(settings: &Settings) -> Found {
    let mut found = Found::default();
    for instance in &settings.instances {
        match fs::canonicalize(&instance.base) {
            Ok(base) => {
                found.bases.insert(base);
            }
            Err(error) => {
                found.notes.push(format!("the declared instance {} cannot be used: {error}", instance.base.display()));
            }
        }
    }
    for root in &settings.roots {
        match fs::read_dir(root) {
            Ok(entries) => {
                let mut children: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                children.sort();
                for child in children {
                    look_at(&child, settings, &mut found);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.notes.push(format!("the root {} cannot be read: {error}", root.display())),
        }
    }
    if found.bases.len() > MAX_INSTANCES {
        found
            .notes
            .push(format!("{} instances found; only the first {MAX_INSTANCES} are looked after", found.bases.len()));
        found.bases = found.bases.into_iter().take(MAX_INSTANCES).collect();
    }
    found
}

fn look_at(child: &Path, settings: &Settings, found: &mut Found) {
    let file = child.join("conf/server.xml");
    match fs::metadata(&file) {
        Ok(metadata) if metadata.is_file() => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Most directories that may not be looked into are no Tomcats; only one that looks like it is worth a word.
            if child.join("webapps").is_dir() {
                found.notes.push(format!("{} looks like a Tomcat and cannot be read: {error}", child.display()));
            }
            return;
        }
        _ => return,
    }
    if let Ok(base) = fs::canonicalize(child)
        && !is_excluded(&base, settings)
    {
        found.bases.insert(base);
    }
}

/// Whether a base is to be left alone: it, or a directory above it, is excluded.
pub fn is_excluded(base: &Path, settings: &Settings) -> bool {
    settings
        .exclude
        .iter()
        .any(|path| base.starts_with(path) || fs::canonicalize(path).is_ok_and(|path| base.starts_with(path)))
}

/// The declarations by the real paths of their bases.
pub fn declarations(settings: &Settings) -> BTreeMap<PathBuf, Instance> {
    let real = |instance: &Instance| fs::canonicalize(&instance.base).ok();
    settings.instances.iter().filter_map(|instance| Some((real(instance)?, instance.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Settings};

    fn settings(root: &Path) -> Settings {
        let flags = Flags {
            manager: vec!["https://localhost:1".to_owned()],
            roots: vec![root.to_path_buf()],
            state: Some(root.join("state")),
            ..Flags::default()
        };
        Settings::resolve(flags).unwrap()
    }

    fn base(root: &Path, name: &str) -> PathBuf {
        let base = root.join(name);
        fs::create_dir_all(base.join("conf")).unwrap();
        fs::write(base.join("conf/server.xml"), "<Server/>").unwrap();
        fs::canonicalize(base).unwrap()
    }

    #[test]
    fn directories_with_a_server_xml_are_bases() {
        let root = tempfile::tempdir().unwrap();
        let shop = base(root.path(), "shop");
        base(root.path(), "old");
        fs::create_dir(root.path().join("no-tomcat")).unwrap();
        std::os::unix::fs::symlink(&shop, root.path().join("link-to-shop")).unwrap();
        let mut settings = settings(root.path());
        settings.exclude = vec![root.path().join("old")];
        assert_eq!(look(&settings), Found { bases: BTreeSet::from([shop]), notes: vec![] });
    }

    #[test]
    fn a_declaration_that_leads_nowhere_is_said() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = settings(root.path());
        settings.instances =
            toml::from_str::<BTreeMap<String, Vec<Instance>>>("[[instance]]\nbase = \"/no/such/base\"")
                .unwrap()
                .remove("instance")
                .unwrap();
        let found = look(&settings);
        assert!(found.bases.is_empty());
        assert!(found.notes[0].contains("/no/such/base"), "{found:?}");
    }

    #[test]
    fn a_missing_root_is_no_news() {
        assert_eq!(look(&settings(Path::new("/no/such/root"))), Found::default());
    }
}
