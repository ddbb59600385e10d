//! `tomcat-grid-agent run`: puts the parts together.

use anyhow::{Context, Result};
use runner::Launcher;

use crate::{
    config::Settings,
    desired,
    hooks::{Hooks, store::Store},
    identity,
    link::{
        keeper::{self, Ending, Routes},
        programs::Keeper,
        session::Parts,
        taking::HAND_OVER,
    },
    own_orders::OwnOrders,
    state_dir::StateDir,
    supervisor::{self, Place},
};

/// Runs the agent until `shutdown` completes. An error means that it cannot run at all.
pub async fn run(settings: Settings, launcher: Launcher, shutdown: impl Future<Output = ()>) -> Result<Ending> {
    tokio::pin!(shutdown);
    let mut routes = Routes::of(&settings)?;
    let state = StateDir::open(&settings.state)?;
    let key = identity::load_or_make_key(&state)?;
    // Said before the join, which may have to wait for network and manager: the machine's boot must not wait with it.
    // Without systemd there is nobody to be told.
    let _nobody = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    let Some(membership) = keeper::join(&settings, &state, &key, &mut routes, &mut shutdown).await? else {
        return Ok(Ending::Stop);
    };
    let wanted = desired::load(state.path());
    let for_hooks = settings.clone();
    let place = Place { state_dir: state.path().to_path_buf(), desired: wanted.instances.clone() };
    let links = supervisor::spawn(settings, place, membership.grid, membership.grid_name.clone()).await?;
    let board = links.board.clone();
    let own = OwnOrders::load(&state, for_hooks.allow.clone().into(), board.managers_clock.clone());
    let store = Store::open(state.path()).context("open the directory of hook programs")?;
    let hooks = Hooks::open(&for_hooks, state.path().to_path_buf(), store.clone(), board.clone(), launcher);
    let hooks = hooks.context("open the memory of hooks")?;
    let programs = Keeper::spawn(&for_hooks, store, board.clone());
    programs.want(wanted.programs.clone()).await;
    let mut parts = Parts { links, own, desired: Some(wanted), programs, hooks };
    let ending = keeper::keep(&state, membership, &key, &mut parts, &mut routes, &mut shutdown).await;
    // Without a link nobody hears of it, and it is remembered all the same.
    let _remembered = tokio::time::timeout(HAND_OVER, board.idle()).await;
    ending
}
