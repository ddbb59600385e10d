//! Who may make which tokens, and how often their use is noted.

use super::*;

fn session(name: &str, role: Role) -> Caller {
    Caller { credential: Credential::Session, ..Caller::at_socket(name.to_owned(), Some(role)) }
}

fn token(owner: Option<&str>, role: Role) -> Caller {
    let name = owner.map_or_else(|| nobodys("t1"), str::to_owned);
    Caller { credential: Credential::Token, token: Some("t1".to_owned()), ..Caller::at_socket(name, Some(role)) }
}

fn limited(caller: Caller) -> Caller {
    Caller { targets: Some(vec![Target::All]), ..caller }
}

fn api(role: Role, owner: Option<&str>) -> Wanted {
    Wanted::Api { role, targets: None, description: String::new(), owner: owner.map(str::to_owned) }
}

#[test]
fn the_table_of_who_makes_which_token() {
    use Role::{Admin, Operator, Viewer};
    let host = |role| Caller::at_socket("alice".to_owned(), role);
    for (who, caller, join, own_viewer, own_operator, own_admin, of_bob) in [
        ("nobody", host(None), false, false, false, false, false),
        ("a viewer", session("alice", Viewer), false, true, false, false, false),
        ("an operator", session("alice", Operator), false, true, true, false, false),
        ("an admin", session("alice", Admin), true, true, true, true, true),
        ("the host's root", host(Some(Admin)), true, true, true, true, true),
        ("an operator of the host", host(Some(Operator)), false, false, false, false, false),
        ("an operator's token", token(Some("alice"), Operator), false, false, false, false, false),
        ("an admin's token", token(Some("alice"), Admin), true, false, false, false, false),
        ("the grid's token", token(None, Operator), false, false, false, false, false),
        ("the grid's admin token", token(None, Admin), true, false, false, false, false),
        ("a limited token", limited(token(Some("alice"), Admin)), false, false, false, false, false),
    ] {
        let may = |wanted| may_make(&caller, &wanted).is_ok();
        assert_eq!(may(Wanted::Join { uses: 1, machine: None }), join, "{who}: join");
        assert_eq!(may(api(Viewer, None)), own_viewer, "{who}: viewer");
        assert_eq!(may(api(Operator, None)), own_operator, "{who}: operator");
        assert_eq!(may(api(Admin, None)), own_admin, "{who}: admin");
        assert_eq!(may(api(Viewer, Some("bob"))), of_bob, "{who}: for bob");
    }
}

#[test]
fn a_use_is_noted_once_in_a_while() {
    let (uses, start) = (Uses::default(), Instant::now());
    assert!(uses.is_news("a", start));
    assert!(!uses.is_news("a", start + Duration::from_secs(59)));
    assert!(uses.is_news("b", start));
    assert!(uses.is_news("a", start + NOTE_EVERY));
    assert_eq!(uses.noted.lock().unwrap().len(), 1);
}
