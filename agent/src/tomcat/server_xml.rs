//! Reads `conf/server.xml`: which connectors an instance has, and of what kind.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use super::installation::owner;
use crate::os::files::read_for;

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What a connector speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP in the clear.
    Http,
    /// HTTP over TLS.
    Https,
    /// AJP or another protocol that cannot be asked for health.
    Other,
}

/// A connector of `server.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its port.
    pub port: u16,
    /// Its address; `None` means every one.
    pub address: Option<IpAddr>,
    /// What it speaks.
    pub kind: Kind,
}

/// What `server.xml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerXml {
    /// The connectors, in the order of the file.
    pub connectors: Vec<Connector>,
    /// What could not be understood, each in a sentence that says where.
    pub problems: Vec<String>,
}

/// Reads the configuration of a base, with the properties of its process, if one runs.
pub fn read(base: &Path, properties: &BTreeMap<String, String>) -> ServerXml {
    let file = base.join("conf/server.xml");
    let owner = owner(base);
    match read_for(owner, &file, MAX_FILE) {
        Ok(content) => {
            let mut all = read_properties(owner, &base.join("conf/catalina.properties"));
            all.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
            parse(&String::from_utf8_lossy(&content), &all)
        }
        Err(error) => {
            ServerXml { problems: vec![format!("conf/server.xml cannot be read: {error}")], ..Default::default() }
        }
    }
}

fn read_properties(owner: u32, file: &Path) -> BTreeMap<String, String> {
    let content = read_for(owner, file, MAX_FILE).unwrap_or_default();
    let content = String::from_utf8_lossy(&content).replace("\\\n", "");
    content
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once(['=', ':']))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Reads the text of a `server.xml`; what is wrong in it is said in `problems`, the rest still counts.
pub fn parse(text: &str, properties: &BTreeMap<String, String>) -> ServerXml {
    let mut server = ServerXml::default();
    let options = roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: 100_000, ..Default::default() };
    let document = match roxmltree::Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            server.problems.push(format!("conf/server.xml line {}: it does not parse: {error}", error.pos().row));
            return server;
        }
    };
    let root = document.root_element();
    if root.tag_name().name() != "Server" {
        server.problems.push(format!("conf/server.xml holds <{}>, not <Server>", root.tag_name().name()));
        return server;
    }
    let offset = |element: roxmltree::Node<'_, '_>| {
        let text = element.attribute("portOffset").map(|text| substitute(text, properties));
        text.and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0)
    };
    let services = root.children().filter(|node| node.has_tag_name("Service"));
    for element in services.flat_map(|service| service.children()).filter(|node| node.has_tag_name("Connector")) {
        let line = document.text_pos_at(element.range().start).row;
        let attribute = |name: &str| element.attribute(name).map(|text| substitute(text, properties));
        let written = attribute("port").unwrap_or_else(|| "-1".to_owned());
        let port = match written.trim().parse::<i64>() {
            // Tomcat leaves a connector with a negative port out, and gives one with port 0 a port of the system's choice.
            Ok(port) if port <= 0 => continue,
            Ok(port) => port + offset(root) + offset(element),
            Err(_) => {
                server.problems.push(format!("conf/server.xml line {line}: `{written}` is no port"));
                continue;
            }
        };
        let Ok(port) = u16::try_from(port) else {
            server.problems.push(format!("conf/server.xml line {line}: port {port} is out of range"));
            continue;
        };
        let protocol = attribute("protocol").unwrap_or_default();
        let secure = attribute("SSLEnabled").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let kind = match () {
            () if protocol.to_ascii_lowercase().contains("ajp") => Kind::Other,
            () if secure => Kind::Https,
            () => Kind::Http,
        };
        let address = attribute("address").and_then(|text| match text.trim() {
            "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            text => text.parse().ok(),
        });
        server.connectors.push(Connector { port, address: address.filter(|a| !a.is_unspecified()), kind });
    }
    server
}

/// Replaces `${name}` and `${name:-default}` by the value of the property, as Tomcat's digester does.
fn substitute(text: &str, properties: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inner = &rest[start + 2..start + length];
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        result.push_str(&rest[..start]);
        match properties.get(name).map(String::as_str).or(default) {
            Some(value) => result.push_str(value),
            None => result.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connectors(text: &str) -> Vec<(u16, Kind)> {
        let properties = BTreeMap::from([("http.port".to_owned(), "9001".to_owned())]);
        let server = parse(text, &properties);
        assert_eq!(server.problems, Vec::<String>::new(), "{text}");
        server.connectors.iter().map(|connector| (connector.port, connector.kind)).collect()
    }

    #[test]
    fn connectors_are_found_with_their_kind_and_port() {
        for (inner, expected) in [
            (r#"<Connector port="8080" protocol="HTTP/1.1"/>"#, vec![(8080, Kind::Http)]),
            (r#"<Connector port="8443" SSLEnabled="true"/>"#, vec![(8443, Kind::Https)]),
            (r#"<Connector port="8009" protocol="AJP/1.3"/>"#, vec![(8009, Kind::Other)]),
            (r#"<Connector port="${http.port}"/>"#, vec![(9001, Kind::Http)]),
            (r#"<Connector port="${unset:-9002}"/>"#, vec![(9002, Kind::Http)]),
            (r#"<Connector port="8080" portOffset="5"/>"#, vec![(8085, Kind::Http)]),
            (r#"<!-- <Connector port="1"/> --><Connector port="-1"/>"#, vec![]),
        ] {
            assert_eq!(connectors(&format!("<Server><Service>{inner}</Service></Server>")), expected);
        }
        let offset = r#"<Server portOffset="100"><Service><Connector port="8080"/></Service></Server>"#;
        assert_eq!(connectors(offset), vec![(8180, Kind::Http)]);
        let dtd = r#"<!DOCTYPE Server [<!ENTITY c '<Connector port="7"/>'>]><Server><Service>&c;</Service></Server>"#;
        assert_eq!(connectors(dtd), vec![(7, Kind::Http)]);
    }

    #[test]
    fn an_address_is_kept_and_every_address_is_none() {
        let of = |address: &str| {
            let text = format!(r#"<Server><Service><Connector port="1" address="{address}"/></Service></Server>"#);
            parse(&text, &BTreeMap::new()).connectors[0].address
        };
        assert_eq!(of("127.0.0.1"), Some([127, 0, 0, 1].into()));
        assert_eq!(of("localhost"), Some([127, 0, 0, 1].into()));
        assert_eq!(of("0.0.0.0"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, problem) in [
            ("<Server>\n<Service name=></Service></Server>", "conf/server.xml line 2: it does not parse"),
            ("<Wrong/>", "conf/server.xml holds <Wrong>"),
            ("<Server><Service>\n<Connector port=\"http\"/></Service></Server>", "line 2: `http` is no port"),
            ("<Server><Service><Connector port=\"99999\"/></Service></Server>", "port 99999 is out of range"),
            ("<Server><Service><Connector port=\"${x}\"/></Service></Server>", "`${x}` is no port"),
        ] {
            let problems = parse(text, &BTreeMap::new()).problems;
            assert!(problems.iter().any(|found| found.contains(problem)), "{text}: {problems:?}");
        }
    }
}
