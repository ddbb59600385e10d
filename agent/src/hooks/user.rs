//! Whom a hook runs as.

use runner::Account;

/// What is known before a hook runs.
pub struct Question<'a> {
    /// The user that the manager names, if it names one.
    pub asked: Option<&'a Account>,
    /// The user of the instance that the hook is about.
    pub instance: Option<&'a Account>,
    /// The user of the agent.
    pub agent: &'a Account,
    /// The users that the machine's own file lists.
    pub listed: &'a [Account],
}

/// Decides whom a hook runs as; `None` as whom the agent itself runs. The error says what to do.
pub fn decide(question: &Question<'_>) -> Result<Option<Account>, String> {
    let Question { asked, instance, agent, listed } = question;
    let user = asked.or(*instance).unwrap_or(agent);
    let is = |other: &Account| other.uid == user.uid;
    let is_listed = listed.iter().any(is);
    if user.uid == 0 && !(is_listed && asked.is_some()) {
        return Err(format!(
            "nothing runs as `{0}` unasked: set `user` of the hook, to \"{0}\" only if it must be, and list that in the agent's \
             own configuration with `hook_users = [\"{0}\"]`",
            user.name
        ));
    }
    // One that is not about an instance runs as the agent, whoever that is.
    let is_own = instance.is_none() && is(agent);
    if !(is_listed || is_own || instance.is_some_and(is)) {
        return Err(format!(
            "the agent's own configuration does not let hooks run as `{0}`: list it there with `hook_users = [\"{0}\"]`",
            user.name
        ));
    }
    if is(agent) {
        return Ok(None);
    }
    if agent.uid != 0 {
        return Err(format!("the agent runs as `{}` and cannot run a hook as `{}`", agent.name, user.name));
    }
    Ok(Some(user.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_runs_as_the_instance_or_as_who_is_listed() {
        let account =
            |uid: u32| Account { name: format!("u{uid}"), uid, gid: uid, groups: vec![uid], home: "/".to_owned() };
        const NOBODY: u32 = 99;
        // Asked for, the instance's, the agent's, listed; whom it runs as, 99 for nobody.
        for (asked, instance, agent, listed, expected) in [
            (None, Some(1), 0, vec![], 1),
            (Some(1), Some(1), 0, vec![], 1),
            (Some(2), Some(1), 0, vec![], NOBODY),
            (Some(2), Some(1), 0, vec![2], 2),
            (Some(0), Some(1), 0, vec![], NOBODY),
            (Some(0), Some(1), 0, vec![0], 0),
            (None, Some(0), 0, vec![], NOBODY),
            (None, Some(0), 0, vec![0], NOBODY),
            (None, None, 0, vec![], NOBODY),
            (None, None, 0, vec![0], NOBODY),
            (Some(0), None, 0, vec![], NOBODY),
            (Some(0), None, 0, vec![0], 0),
            (Some(2), None, 0, vec![2], 2),
            (Some(2), None, 0, vec![], NOBODY),
            (None, None, 5, vec![], 5),
            (None, Some(5), 5, vec![], 5),
            (None, Some(1), 5, vec![], NOBODY),
            (Some(2), Some(5), 5, vec![2], NOBODY),
            (Some(5), Some(1), 5, vec![], NOBODY),
            (Some(5), Some(1), 5, vec![5], 5),
        ] {
            let (asked, instance, agent) = (asked.map(account), instance.map(account), account(agent));
            let listed: Vec<_> = listed.into_iter().map(account).collect();
            let question =
                Question { asked: asked.as_ref(), instance: instance.as_ref(), agent: &agent, listed: &listed };
            let decided = decide(&question).map(|user| user.map_or(agent.uid, |user| user.uid));
            assert_eq!(decided.clone().unwrap_or(NOBODY), expected, "{asked:?} {instance:?} {agent:?} {decided:?}");
        }
    }
}
