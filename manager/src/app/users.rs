//! Users of the grid: adding, changing and removing them, and what they do with their own passwords and sessions.

use protocol::{secret::Secret, time::Timestamp};

use super::{App, AppError, Result, joining::hash_of, login::random_text};
use crate::{
    grid::{
        access::{Caller, Credential, NotAllowed, Permission, Role},
        audit::Deed,
        event::{Draft, Kind},
        page::Page,
        target::NoSuchTarget,
        user,
    },
    store::{machines::Hash, users::User},
};

impl App {
    /// A part of the users, by name.
    pub async fn users(&self, caller: &Caller, cursor: Option<&str>, limit: u32) -> Result<Page<User>> {
        self.permit(caller, Permission::ManageUsers, "user-list", "").await?;
        if cursor.is_some_and(|cursor| user::check_name(cursor).is_err()) {
            return Err(AppError::Invalid("this cursor is not one that a list of users gave".to_owned()));
        }
        Ok(self.store.users(cursor, limit, Timestamp::now()).await?)
    }

    /// Adds a user. A password that is not given is generated, and returned this once.
    pub async fn create_user(
        &self,
        caller: &Caller,
        name: &str,
        role: Role,
        given: Option<Secret>,
    ) -> Result<(User, Option<String>)> {
        self.permit(caller, Permission::ManageUsers, "user-create", name).await?;
        self.allow(caller, may_make(caller, role), "user-create", name).await?;
        user::check_name(name).map_err(AppError::Invalid)?;
        let (hash, generated) = self.new_password(name, given).await?;
        let deed = Deed::of(caller, "user-create", name).detail(format!("the role {role}"));
        let draft = Draft::new(Kind::UserCreated).data(serde_json::json!({"user": name, "role": role})).deed(deed);
        self.carry_out(draft, async |event| self.store.create_user(name, &hash, role, &caller.name, event).await)
            .await?;
        Ok((self.user(name).await?, generated))
    }

    /// Gives a user another role.
    pub async fn change_role(&self, caller: &Caller, name: &str, role: Role) -> Result<User> {
        self.permit(caller, Permission::ManageUsers, "user-change", name).await?;
        self.allow(caller, may_make(caller, role), "user-change", name).await?;
        let deed = Deed::of(caller, "user-change", name).detail(format!("the role {role}"));
        let data = serde_json::json!({"user": name, "role": role, "what": "role"});
        let draft = Draft::new(Kind::UserChanged).data(data).deed(deed);
        let changed = self.carry_out(draft, async |event| self.store.change_role(name, role, event).await).await;
        self.tell_access_changed();
        named(changed, name)?;
        self.user(name).await
    }

    /// Gives a user another password, which is returned this once if it is generated. Ends all sessions of the user.
    ///
    /// Nobody resets the own password: a session that is left open, or a token, must not be enough to take it over.
    pub async fn reset_password(&self, caller: &Caller, name: &str, given: Option<Secret>) -> Result<Option<String>> {
        self.permit(caller, Permission::ManageUsers, "password-reset", name).await?;
        let allowed = match caller.user() == Some(name) {
            true => Err(NotAllowed::OwnPassword { caller: caller.name.clone() }),
            false => may_make(caller, self.user(name).await?.role),
        };
        self.allow(caller, allowed, "password-reset", name).await?;
        let (hash, generated) = self.new_password(name, given).await?;
        let data = serde_json::json!({"user": name, "what": "password"});
        let draft = Draft::new(Kind::UserChanged).data(data).deed(Deed::of(caller, "password-reset", name));
        let changed =
            self.carry_out(draft, async |event| self.store.set_password(name, None, &hash, None, event).await).await;
        self.tell_access_changed();
        named(changed, name)?;
        self.forget_first_password(name);
        Ok(generated)
    }

    /// Ends all sessions of a user.
    pub async fn log_out_user(&self, caller: &Caller, name: &str) -> Result<()> {
        self.permit(caller, Permission::ManageUsers, "logout-everywhere", name).await?;
        self.end_sessions(caller, name).await
    }

    /// Removes a user, with their sessions and API tokens.
    pub async fn remove_user(&self, caller: &Caller, name: &str) -> Result<()> {
        self.permit(caller, Permission::ManageUsers, "user-remove", name).await?;
        let deed = Deed::of(caller, "user-remove", name);
        let draft = Draft::new(Kind::UserRemoved).data(serde_json::json!({"user": name})).deed(deed);
        let removed = self.carry_out(draft, async |event| self.store.remove_user(name, event).await).await;
        self.tell_access_changed();
        named(removed, name)?;
        self.forget_first_password(name);
        Ok(())
    }

    /// Changes the caller's own password. Ends the caller's other sessions; `session` is this one's secret.
    pub async fn change_own_password(&self, caller: &Caller, session: &str, old: Secret, new: Secret) -> Result<()> {
        self.in_person(caller, "password-change").await?;
        let name = caller.name.as_str();
        user::check_password(new.expose(), name).map_err(AppError::Invalid)?;
        let deed = Deed::of(caller, "password-change", name);
        let Some(known) = self.check_password(name, old, &caller.from, &deed).await? else {
            self.record_deed(&deed.outcome("failed").detail("the old password is another")).await;
            return Err(AppError::WrongPassword);
        };
        let hash = self.hash_password(new.expose().to_owned()).await?;
        let this: Hash = hash_of(session.as_bytes());
        let data = serde_json::json!({"user": name, "what": "password"});
        let draft = Draft::new(Kind::UserChanged).data(data).deed(deed);
        let changed = self
            .carry_out(draft, async |event| {
                self.store.set_password(name, Some(&known), &hash, Some(&this), event).await
            })
            .await;
        self.tell_access_changed();
        named(changed, name)?;
        self.forget_first_password(name);
        Ok(())
    }

    /// Ends all sessions of the caller.
    pub async fn log_out_oneself_everywhere(&self, caller: &Caller) -> Result<()> {
        self.in_person(caller, "logout-everywhere").await?;
        self.end_sessions(caller, &caller.name).await
    }

    async fn end_sessions(&self, caller: &Caller, name: &str) -> Result<()> {
        let deed = Deed::of(caller, "logout-everywhere", name);
        let data = serde_json::json!({"user": name, "what": "everywhere"});
        let draft = Draft::new(Kind::Logout).data(data).deed(deed);
        let ended = self.carry_out(draft, async |event| self.store.end_sessions(name, event).await).await;
        self.tell_access_changed();
        named(ended, name)
    }

    /// Checks that a user is there in person, and not by a token, which must not be enough to take over the user.
    async fn in_person(&self, caller: &Caller, action: &str) -> Result<()> {
        let is_session = caller.credential == Credential::Session;
        let allowed = match is_session {
            true => caller.may(Permission::ManageOneself),
            false => Err(NotAllowed::NoSession { caller: caller.name.clone() }),
        };
        self.allow(caller, allowed, action, &caller.name).await
    }

    /// The hash of a password, and the password itself if it had to be generated.
    async fn new_password(&self, name: &str, given: Option<Secret>) -> Result<(String, Option<String>)> {
        let (password, generated) = match given {
            Some(password) => {
                user::check_password(password.expose(), name).map_err(AppError::Invalid)?;
                (password.expose().to_owned(), None)
            }
            None => {
                let generated = random_text::<18>();
                (generated.clone(), Some(generated))
            }
        };
        Ok((self.hash_password(password).await?, generated))
    }

    async fn user(&self, name: &str) -> Result<User> {
        named(self.store.user(name, Timestamp::now()).await.map_err(AppError::from), name)
    }
}

/// Whether a caller may let somebody in who has a role: an API token must not live on as an admin.
fn may_make(caller: &Caller, role: Role) -> std::result::Result<(), NotAllowed> {
    if role == Role::Admin { caller.without_token() } else { Ok(()) }
}

/// Says which user it is that is not there.
fn named<T>(result: Result<T>, name: &str) -> Result<T> {
    result.map_err(|error| match error {
        AppError::NotFound => NoSuchTarget::new("user", name, [].into_iter()).into(),
        error => error,
    })
}
