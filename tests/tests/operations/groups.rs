//! Hooks of collections, which run on the manager's host: which of them run, and what their failures do.

use std::fs;

use serde_json::json;

use super::{Grid, at};

/// A collection `front` of two, with a hook before and a hook after each restart.
fn stage(pre: &str, on_failure: &str, fake_stop_ms: u64) -> Grid {
    let grid = Grid::with(&["a", "b"], |_, fake| fake.set("stop_delay_ms", fake_stop_ms));
    for (name, text) in [("pre.sh", pre), ("post.sh", "exit 0")] {
        let path = grid.manager.dir().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        assert_eq!(grid.manager.cli(&["hooks", "add", path.to_str().expect("a path")]).code, 0);
    }
    let hook = |event: &str, program: &str| {
        format!(
            "[[hook]]\nevent = \"{event}\"\ntargets = [\"front\"]\nprogram = \"{program}\"\non_failure = \"{on_failure}\"\n"
        )
    };
    let hooks = hook("pre-restart", "pre.sh") + &hook("post-restart", "post.sh");
    grid.manager.apply(&format!("[collection.front]\nmembers = [\"a@web-1\", \"b@web-1\"]\n{hooks}"));
    grid
}

/// How the hooks of the collection ended: before, and after.
fn hooks(shown: &tests::operations::Shown) -> Vec<&str> {
    let hooks = shown.steps().iter().filter(|step| step["kind"] == "hook");
    hooks.map(|step| step["state"].as_str().unwrap_or_default()).collect()
}

#[test]
fn after_a_veto_no_hook_of_the_collection_runs() {
    let grid = stage("exit 3", "abort", 0);
    let ended = grid.manager.wait_end_of(&grid.manager.operate("restart", &["front"]));
    assert_eq!((ended.result(), hooks(&ended)), ("vetoed", vec!["failed", "skipped"]), "{:#}", ended.0);
    assert_eq!((ended.state(&at("a")), grid.orders()), ("skipped", 0));
}

#[test]
fn a_warning_changes_nothing() {
    let grid = stage("exit 3", "warn", 0);
    let ended = grid.manager.wait_end_of(&grid.manager.operate("restart", &["front"]));
    assert_eq!((ended.result(), hooks(&ended)), ("done", vec!["failed", "done"]), "{:#}", ended.0);
}

#[test]
fn a_cancel_runs_the_hook_after_what_was_in_hand_and_now_runs_none() {
    let grid = stage("exit 0", "abort", 1500);
    for (now, expected) in [(false, ["done", "done"]), (true, ["done", "skipped"])] {
        let id = grid.manager.operate("restart", &["front"]);
        grid.manager.wait_state(&at("a"), "stopping");
        grid.manager.act_on(&id, "cancel", Some(&json!({"now": now})));
        let ended = grid.manager.wait_end_of(&id);
        assert_eq!((ended.result(), hooks(&ended)), ("cancelled", expected.to_vec()), "{:#}", ended.0);
        grid.manager.wait_state(&at("a"), if now { "stopped" } else { "active" });
    }
}

#[test]
fn what_only_a_hook_failed_of_is_not_said_to_be_well() {
    let grid = stage("exit 0", "abort", 0);
    let path = grid.manager.dir().join("post.sh");
    fs::write(&path, "#!/bin/sh\nexit 4\n").expect("a file");
    assert_eq!(grid.manager.cli(&["hooks", "add", path.to_str().expect("a path")]).code, 0);
    let id = grid.manager.operate("restart", &["front"]);
    assert_eq!(grid.manager.wait_end_of(&id).result(), "failed");
    let refused = grid.manager.api("POST", &format!("/operations/{id}/retry"), None).unwrap();
    assert!(refused.status == 409 && refused.body.contains("post.sh"), "{}", refused.body);
}
