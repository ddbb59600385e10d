use std::time::Duration;

use protocol::{
    desired::Programs,
    hook::{HookAbout, HookEnd, HookFate, HookRun, MAX_OUTPUT},
    link::ToAgent,
    report::MachineFacts,
    time::Timestamp,
};
use serde_json::Value;
use uuid::Uuid;

use super::running::HookContext;
use crate::{
    app::{
        App,
        links::{Mailbox, Post},
        temporary,
    },
    grid::{
        access::{Caller, Role},
        config::{GridConfig, Hook, HookFailure},
        fleet::{KnownMachine, Named},
        hooks::HookPlace,
        operation::HookNode,
    },
};

const SCRIPT: &[u8] = b"#!/bin/sh\n";
const AGENT: Uuid = Uuid::from_u128(1);

/// A manager with a machine, an instance on it, and a hook that may run there.
async fn stage() -> (tempfile::TempDir, std::sync::Arc<App>) {
    let (dir, app) = temporary::app().await;
    let admin = Caller::at_socket("ada".to_owned(), Some(Role::Admin));
    app.add_program(&admin, "warm.sh", SCRIPT.to_vec()).await.unwrap();
    let hook = Hook {
        event: "pre-start".parse().unwrap(),
        targets: vec!["all".parse().unwrap()],
        program: "warm.sh".to_owned(),
        timeout: Duration::from_secs(20),
        on_failure: HookFailure::Abort,
        user: None,
        environment: [("LEVEL".to_owned(), "7".to_owned())].into(),
        secrets: Vec::new(),
    };
    app.configuration.put(GridConfig { hooks: vec![hook], ..GridConfig::default() });
    let machine = KnownMachine {
        id: AGENT,
        name: "web-1".parse().unwrap(),
        joined_at: Timestamp::EPOCH,
        revoked_at: None,
        agent_version: String::new(),
        facts: MachineFacts::default(),
    };
    app.change(|fleet, now| fleet.joined(machine, now));
    (dir, app)
}

/// Links the agent.
fn link(app: &App) -> std::sync::Arc<Mailbox> {
    let mailbox = app.links.mailbox();
    assert!(app.links.enter(AGENT, mailbox.clone()));
    let report = serde_json::json!({"base": "/srv/a", "state": "active", "age_ms": 0, "pid": 42});
    let named = Named { name: "a@web-1".parse().unwrap(), note: None, report: serde_json::from_value(report).unwrap() };
    let machine = "web-1".parse().unwrap();
    app.change(|fleet, now| fleet.connected(&machine, mailbox.number, "1", MachineFacts::default(), vec![named], now));
    app.hooks.look_at(&machine);
    mailbox
}

/// Waits for a message of a kind.
async fn wait_for<T>(mailbox: &Mailbox, what: impl Fn(ToAgent) -> Option<T>) -> T {
    let waiting = async {
        loop {
            let Post::Messages(messages) = mailbox.next().await else { panic!("the link is closed") };
            if let Some(found) = messages.into_iter().find_map(&what) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a message")
}

async fn next_run(mailbox: &Mailbox) -> HookRun {
    let run = |message| if let ToAgent::Hook(run) = message { Some(*run) } else { None };
    wait_for(mailbox, run).await
}

/// Says that the machine has what it should have.
async fn become_ready(app: &App, mailbox: &Mailbox) -> String {
    let desired = |message| if let ToAgent::Desired(desired) = message { Some(desired) } else { None };
    let desired = wait_for(mailbox, |message| desired(message).filter(|desired| !desired.programs.is_empty())).await;
    let hash = desired.programs[0].hash.clone();
    let ready = Programs { ready: vec![hash.clone()], missing: Vec::new(), secrets: None };
    app.programs_told(&"web-1".parse().unwrap(), mailbox.number, &ready);
    hash
}

fn node(place: HookPlace, timeout_ms: u64) -> HookNode {
    HookNode {
        event: "pre-start".parse().unwrap(),
        program: "warm.sh".to_owned(),
        place,
        timeout_ms,
        on_failure: HookFailure::Abort,
        user: None,
        environment: [("LEVEL".to_owned(), "7".to_owned()), ("TOMCAT_GRID_EVENT".to_owned(), "forged".to_owned())]
            .into(),
        secrets: Vec::new(),
        target: "all".to_owned(),
    }
}

fn context() -> HookContext {
    HookContext {
        run: Uuid::now_v7(),
        command: "restart".to_owned(),
        service: Some(("a@web-1".parse().unwrap(), "web-1".parse().unwrap())),
        collection: Some("front".parse().unwrap()),
        operation: Some((Uuid::from_u128(9), 4)),
        actor: "ada".to_owned(),
        result: None,
        more: Value::Null,
    }
}

fn begin(app: &std::sync::Arc<App>, timeout_ms: u64) -> (Uuid, tokio::task::JoinHandle<(HookEnd, String)>) {
    let (app, context) = (app.clone(), context());
    let run = context.run;
    let running = tokio::spawn(async move {
        let mut told = String::new();
        let end = app.run_hook(&node(HookPlace::Machine, timeout_ms), context, |text| told.push_str(text)).await;
        (end, told)
    });
    (run, running)
}

fn ended(exit_code: i32) -> HookEnd {
    HookEnd { fate: HookFate::Ran { exit_code }, output: "warm\n".to_owned(), dropped: 0, duration_ms: 5 }
}

/// The fates that are recorded, in their order.
async fn fates(app: &App) -> Vec<Value> {
    let events = app.store.events_after(0, 1000).await.unwrap();
    let bodies = events.iter().map(|event| serde_json::from_str::<Value>(&event.1).unwrap());
    bodies.filter(|event| event["kind"] == "hook.ran").collect()
}

#[tokio::test]
async fn a_hook_about_an_instance_that_is_gone_is_not_one_about_the_agent() {
    let (_dir, app) = stage().await;
    let mailbox = link(&app);
    become_ready(&app, &mailbox).await;
    app.change(|fleet, now| {
        fleet.connected(&"web-1".parse().unwrap(), mailbox.number, "1", MachineFacts::default(), vec![], now)
    });
    let (run, running) = begin(&app, 20_000);
    let order = next_run(&mailbox).await;
    assert_eq!((order.base, order.about, order.ttl_ms), (None, Some(HookAbout::Instance), 0), "only asked for");
    app.links.run_ended(AGENT, run, HookEnd::not_run("it came too late"));
    let (end, _) = running.await.unwrap();
    assert!(matches!(&end.fate, HookFate::NotRun { why } if why.contains("a@web-1 is gone")), "{end:?}");
}

#[tokio::test]
async fn a_hook_waits_for_its_program_runs_and_is_recorded() {
    let (_dir, app) = stage().await;
    let mailbox = link(&app);
    let (run, running) = begin(&app, 20_000);
    let hash = become_ready(&app, &mailbox).await;
    let asked = next_run(&mailbox).await;
    assert_eq!((asked.id, asked.program, asked.base.as_deref()), (run, hash, Some("/srv/a")));
    let expected = [
        ("LEVEL", "7"),
        ("TOMCAT_GRID_EVENT", "pre-start"),
        ("TOMCAT_GRID_COMMAND", "restart"),
        ("TOMCAT_GRID_SERVICE", "a@web-1"),
        ("TOMCAT_GRID_MACHINE", "web-1"),
        ("TOMCAT_GRID_COLLECTION", "front"),
        ("TOMCAT_GRID_HOOK", "warm.sh"),
        ("TOMCAT_GRID_PID", "42"),
        ("CATALINA_BASE", "/srv/a"),
    ];
    for (name, value) in expected {
        assert_eq!(asked.environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(
        (&asked.input["step"], &asked.input["state"], &asked.input["version_id"]),
        (&4.into(), &"active".into(), &Value::Null)
    );
    app.links.run_output(AGENT, run, "wa");
    app.links.run_ended(AGENT, run, ended(0));
    assert_eq!(running.await.unwrap(), (ended(0), "wa".to_owned()));
    let fates = fates(&app).await;
    assert_eq!((&fates[0]["service"], &fates[0]["actor"]), (&"a@web-1".into(), &"ada".into()));
    let data = &fates[0]["data"];
    assert_eq!((&data["fate"], &data["exit_code"], &data["output"]), (&"ran".into(), &0.into(), &"warm\n".into()));
    assert_eq!(app.links.figures().runs, 0);
}

#[tokio::test]
async fn the_event_of_a_run_holds_the_beginning_of_its_output_and_how_much_is_missing() {
    let (_dir, app) = stage().await;
    let mailbox = link(&app);
    let few = "x".repeat(4095);
    for (output, dropped, kept, missing) in [
        ("x".repeat(4096), 0, 4096, 0),
        ("x".repeat(4097), 0, 4096, 1),
        ("x".repeat(MAX_OUTPUT), 1000, 4096, 1000 + (MAX_OUTPUT - 4096) as u64),
        // A character is not cut in the middle.
        (format!("{few}ßx"), 0, 4095, 3),
        // An agent may say what it likes.
        ("x".repeat(5000), u64::MAX, 4096, u64::MAX),
    ] {
        let (run, running) = begin(&app, 20_000);
        if fates(&app).await.is_empty() {
            become_ready(&app, &mailbox).await;
        }
        next_run(&mailbox).await;
        app.links.run_ended(AGENT, run, HookEnd { output: output.clone(), dropped, ..ended(0) });
        assert_eq!(running.await.unwrap().0.output, output, "whoever runs it gets all of it");
        let recorded = fates(&app).await;
        let data = &recorded.last().unwrap()["data"];
        assert_eq!(data["output"].as_str().unwrap(), &output[..kept]);
        assert_eq!(data["dropped"], missing, "{kept}");
    }
}

#[tokio::test]
async fn a_run_is_asked_for_again_by_its_id_when_the_agent_comes_back() {
    let (_dir, app) = stage().await;
    let first = link(&app);
    let (run, running) = begin(&app, 20_000);
    become_ready(&app, &first).await;
    let asked = next_run(&first).await;
    assert_eq!(asked.id, run);
    app.links.remove(AGENT, first.number);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let second = link(&app);
    let again = next_run(&second).await;
    assert_eq!((again.id, again.timeout_ms), (run, asked.timeout_ms));
    assert!(asked.ttl_ms <= 20_000 && again.ttl_ms + 15 < asked.ttl_ms, "{} {}", asked.ttl_ms, again.ttl_ms);
    app.links.run_ended(AGENT, run, ended(3));
    assert_eq!(running.await.unwrap().0, ended(3));
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_is_abandoned_and_recorded() {
    let (_dir, app) = stage().await;
    let mailbox = link(&app);
    let (run, running) = begin(&app, 20_000);
    become_ready(&app, &mailbox).await;
    assert_eq!(next_run(&mailbox).await.id, run);
    running.abort();
    let abandoned = |message| if let ToAgent::AbandonHook { run } = message { Some(run) } else { None };
    assert_eq!(wait_for(&mailbox, abandoned).await, run);
    let recorded = async {
        while fates(&app).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded).await.expect("a record");
    assert_eq!(fates(&app).await[0]["data"]["fate"], "abandoned");
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let (_dir, app) = stage().await;
    let why = |end: HookEnd| match end.fate {
        HookFate::NotRun { why } => why,
        other => panic!("{other:?}"),
    };
    let absent = HookNode { program: "cold.sh".to_owned(), ..node(HookPlace::Machine, 50) };
    assert!(why(app.run_hook(&absent, context(), |_| {}).await).contains("no hook program `cold.sh`"));
    let alone = HookContext { service: None, ..context() };
    assert!(why(app.run_hook(&node(HookPlace::Machine, 50), alone, |_| {}).await).contains("is about a service"));
    // It is not on the machine: what the agent knows of the run is asked for, and it is not to begin it.
    let mailbox = link(&app);
    let (run, running) = begin(&app, 50);
    let asked = next_run(&mailbox).await;
    assert_eq!((asked.id, asked.ttl_ms), (run, 0));
    app.links.run_ended(AGENT, run, HookEnd::not_run("too late"));
    assert_eq!(why(running.await.unwrap().0), "web-1 does not have the program `warm.sh`: it is on its way");

    let other = HookNode { user: Some("no-such-user".to_owned()), ..node(HookPlace::Manager, 1000) };
    assert!(why(app.run_hook(&other, context(), |_| {}).await).contains("it is to run as `no-such-user`"));
    let secret = HookNode { secrets: vec!["KEY".to_owned()], ..node(HookPlace::Manager, 1000) };
    assert!(why(app.run_hook(&secret, context(), |_| {}).await).contains("the secret `KEY`"));
    assert_eq!(fates(&app).await.len(), 5, "each of them is on record");
}

#[tokio::test]
async fn a_run_on_this_host_does_not_outlive_its_manager() {
    let (_dir, app) = stage().await;
    let on_machine = app.hook_died_with_manager(&node(HookPlace::Machine, 50), &context()).await;
    assert_eq!(on_machine, None, "its machine knows");
    let here = app.hook_died_with_manager(&node(HookPlace::Manager, 50), &context()).await;
    assert!(matches!(here.unwrap().fate, HookFate::Unknown { .. }));
}
