//! The answers that many operations have: what is wrong, as a problem. Each operation names those that can occur.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, schema::Type},
};

/// The content type of a problem.
const PROBLEM: &str = "application/problem+json";

fn problem(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content(PROBLEM, content)
}

macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $what:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$((stringify!($status).to_owned(), problem($what).build().into())),+].into_iter().collect()
            }
        }
    )+};
}

answers! {
    /// Of every operation that needs a login.
    LoginNeeded {
        401: "`unauthorized`: no login, or one that is not good any more",
        403: "`not_allowed`: the role is too low, the token is limited to other targets, or it is not for API \
              tokens; \
              `cross_site`: the request comes from a page of another site",
        500: "`internal`: something went wrong in the manager; its log says what",
    }
    /// Of every operation that takes parameters.
    BadParameters {
        400: "`invalid`: a parameter cannot be used; `detail` says which, and why",
    }
    /// Of every operation that takes a body.
    BadBody {
        400: "`invalid`: the body cannot be used; `detail` says why",
        408: "`invalid`: the body did not come in time",
        413: "`invalid`: the body is too large",
        415: "`invalid`: the body is not `application/json`",
    }
    /// Of the operation that takes a program.
    BadProgram {
        400: "`invalid`: the name or the program cannot be used; `detail` says why",
        408: "`invalid`: the program did not come in time",
        413: "`invalid`: the program is too large",
        415: "`invalid`: the program is not sent as `application/octet-stream`",
    }
    /// Of every operation on something with a name.
    NotThere {
        404: "`no_such_target`: there is nothing of that name",
    }
    /// Of every operation that something can be in the way of.
    InTheWay {
        409: "`conflict`: something is in the way; `detail` says what",
    }
    /// Of every operation that stores something.
    Stored {
        507: "`disk_full`: the manager's disk is full, and nothing was changed",
    }
    /// Of every operation that may fail, login or not.
    Failed {
        500: "`internal`: something went wrong in the manager; its log says what",
    }
    /// Of operations that change a session.
    CrossSite {
        403: "`cross_site`: the request comes from a page of another site",
    }
    /// Of streams, which stay open.
    TooManyStreams {
        429: "`too_many_streams`: the caller has as many streams open as one may",
    }
    /// Of a login that is not even looked at.
    NoLogin {
        403: "`cross_site`: the request comes from a page of another site; \
              `not_allowed`: this user of the manager's host has no role",
    }
    /// Of a login that fails.
    WrongPassword {
        401: "`wrong_password`: name and password do not fit together",
    }
}

/// Of operations that check a password.
pub struct TooManyLogins;

impl IntoResponses for TooManyLogins {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        let after = HeaderBuilder::new().schema(Some(seconds)).description(Some("In so many seconds")).build();
        let answer = problem("`too_many_logins`: too many attempts; try again later").header("Retry-After", after);
        [("429".to_owned(), answer.build().into())].into_iter().collect()
    }
}
