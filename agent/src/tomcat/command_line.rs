//! Recognises a Tomcat by the arguments of its process.

use std::collections::BTreeMap;

/// What the command line of a running Tomcat tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// `CATALINA_BASE`, as it was given.
    pub base: String,
    /// `CATALINA_HOME`, as it was given.
    pub home: Option<String>,
    /// The system properties (`-Dname=value`).
    pub properties: BTreeMap<String, String>,
}

/// Reads a command line; `None` if it is not a running Tomcat.
///
/// The JVMs of `catalina.sh stop`, `configtest` and `version` carry the same `-Dcatalina.base`: what runs is told by
/// the class and the last word.
pub fn recognise(arguments: &[String]) -> Option<CommandLine> {
    let [.., class, command] = arguments else { return None };
    if class != "org.apache.catalina.startup.Bootstrap" || !matches!(command.as_str(), "start" | "run" | "startd") {
        return None;
    }
    let properties: BTreeMap<String, String> = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix("-D"))
        .map(|property| property.split_once('=').unwrap_or((property, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let base = properties.get("catalina.base")?.clone();
    let home = properties.get("catalina.home").cloned();
    base.starts_with('/').then_some(CommandLine { base, home, properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_a_running_tomcat_is_recognised() {
        let run = "java -Xmx64m -Dcatalina.base=/srv/a -Dcatalina.home=/usr/share/tomcat10 org.apache.catalina.startup.Bootstrap";
        assert_eq!(recognise(&words(&format!("{run} start"))).unwrap().base, "/srv/a");
        assert_eq!(recognise(&words(&format!("{run} start"))).unwrap().home.unwrap(), "/usr/share/tomcat10");
        for other in ["stop", "configtest", "version", "start x"] {
            assert_eq!(recognise(&words(&format!("{run} {other}"))), None, "{other}");
        }
        assert_eq!(recognise(&words("java -Dcatalina.base=/srv/a Other start")), None);
        assert_eq!(recognise(&words("java org.apache.catalina.startup.Bootstrap start")), None);
        assert_eq!(recognise(&words("java -Dcatalina.base=a org.apache.catalina.startup.Bootstrap start")), None);
        assert_eq!(recognise(&[]), None);
    }
}
