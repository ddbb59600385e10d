//! What is taken for the directory of a run that was left behind.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A house in which no run is of its own accord.
const OTHER_HOUSE: &str = "/var/tmp";

/// The user that owns what is planted.
const STRANGER: u32 = 65534;

/// A directory that looks like one of a run, whose `bin` leads to what somebody wants removed.
struct Planted {
    run: Uuid,
    room: PathBuf,
    coveted: tempfile::TempDir,
}

fn plant() -> Planted {
    let run = Uuid::new_v4();
    let room = Path::new(OTHER_HOUSE).join(format!("tomcat-grid-hook-{}", run.simple()));
    let coveted = tempfile::tempdir().expect("a directory");
    fs::write(coveted.path().join("precious"), "kept").expect("a file");
    fs::create_dir(&room).expect("a room");
    fs::set_permissions(&room, fs::Permissions::from_mode(0o700)).expect("its mode");
    fs::create_dir(room.join("work")).expect("a place to work");
    symlink(coveted.path(), room.join("bin")).expect("a link");
    fs::write(room.join("note"), "").expect("a note");
    Planted { run, room, coveted }
}

impl Planted {
    fn clear_up(&self) {
        runner::clear_up(self.run, rustix::process::geteuid().as_raw());
        assert!(self.coveted.path().join("precious").exists(), "no link is followed");
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // It is gone, unless it was to stay.
        let _gone = fs::remove_dir_all(&self.room);
    }
}

#[test]
fn a_link_in_a_room_that_was_left_behind_is_removed_and_not_followed() {
    let planted = plant();
    symlink(planted.coveted.path(), planted.room.join("work/link")).expect("a link");
    planted.clear_up();
    assert!(!planted.room.exists());
}

#[test]
fn what_others_own_or_can_write_to_is_no_room() {
    let planted = plant();
    fs::set_permissions(&planted.room, fs::Permissions::from_mode(0o770)).expect("its mode");
    planted.clear_up();
    assert!(planted.room.join("note").exists());

    if rustix::process::geteuid().is_root() {
        let planted = plant();
        chown(&planted.room, Some(STRANGER), Some(STRANGER)).expect("its owner");
        planted.clear_up();
        assert!(planted.room.join("note").exists());
    }
}

#[test]
fn a_link_is_no_room() {
    let planted = plant();
    let elsewhere = planted.coveted.path().join("elsewhere");
    fs::rename(&planted.room, &elsewhere).or_else(|_| fs::create_dir(&elsewhere)).expect("it is elsewhere");
    fs::remove_dir_all(&planted.room).ok();
    symlink(&elsewhere, &planted.room).expect("a link");
    planted.clear_up();
    assert!(elsewhere.exists());
    fs::remove_file(&planted.room).expect("the link is left alone");
}

#[test]
fn whatever_a_program_leaves_is_removed() {
    let planted = plant();
    let work = planted.room.join("work");
    for path in ["a/b/c", "a/d", "closed/in"] {
        fs::create_dir_all(work.join(path)).expect("a directory");
        fs::write(work.join(path).join("file"), "x").expect("a file");
    }
    fs::set_permissions(work.join("closed/in"), fs::Permissions::from_mode(0o000)).expect("its mode");
    fs::set_permissions(work.join("closed"), fs::Permissions::from_mode(0o500)).expect("its mode");
    fs::set_permissions(&work, fs::Permissions::from_mode(0o000)).expect("its mode");
    planted.clear_up();
    assert!(!planted.room.exists());
}
