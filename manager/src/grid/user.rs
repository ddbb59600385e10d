//! How users may be called, and what passwords are taken.

/// The longest name of a user, in bytes.
pub const LONGEST_NAME: usize = 64;

/// The shortest password, in bytes.
pub const SHORTEST_PASSWORD: usize = 8;

/// The longest password, in bytes.
pub const LONGEST_PASSWORD: usize = 1024;

/// Checks the name of a user; says what is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_allowed) {
        return Err(format!(
            "a user's name has 1 to {LONGEST_NAME} characters, which are letters without accents, digits, `.`, `_`, `-` or `@`"
        ));
    }
    // In an address they mean something else.
    if name == "." || name == ".." {
        return Err(format!("`{name}` is no name"));
    }
    Ok(())
}

/// Checks the password that a user is to have; says what is wrong with it.
pub fn check_password(password: &str, name: &str) -> Result<(), String> {
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.len()) {
        return Err(format!("a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} bytes"));
    }
    if password.eq_ignore_ascii_case(name) {
        return Err("the password must not be the user's name".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_names() {
        let longest = "a".repeat(LONGEST_NAME);
        for name in ["a", "alice", "alice.b", "a_b-c@example.org", "...", longest.as_str()] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " ", "a b", "a/b", "é", "a\n", "token:1", ".", "..", "a%2f", &format!("{longest}a")] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_table_of_passwords() {
        for (password, good) in
            [("12345678", true), ("1234567", false), ("alice-alice", false), ("Alice-Alice", false), ("", false)]
        {
            assert_eq!(check_password(password, "alice-alice").is_ok(), good, "{password}");
        }
        assert!(check_password(&"a".repeat(LONGEST_PASSWORD), "a").is_ok());
        assert!(check_password(&"a".repeat(LONGEST_PASSWORD + 1), "a").is_err());
    }
}
