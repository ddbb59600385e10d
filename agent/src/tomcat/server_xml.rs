//! Reads `conf/server.xml`: which connectors an instance has, and of what kind.

use std::{collections::BTreeMap, fs, net::IpAddr, os::unix::fs::MetadataExt, path::Path};

use super::installation::owner;
use crate::os::files::read_for;

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What the entities of a file may come to, in bytes.
const MAX_ENTITIES: usize = 4 * 1024 * 1024;

/// How many references the parser follows inside of the values of entities, for each reference outside of them.
const MAX_NESTED: usize = 255;

/// The longest value of an attribute that is of interest, in bytes.
const MAX_VALUE: usize = 4096;

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

/// What tells two states of a file apart.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// The configuration of a base as it was last read: it is asked for each second, and changes once in a year.
#[derive(Debug, Default)]
pub struct Cache {
    read: Option<([Stamp; 2], u32, BTreeMap<String, String>)>,
    server: ServerXml,
}

impl Cache {
    /// As [`read`], but reads again only when a file, the owner or a property has changed.
    pub fn read(&mut self, base: &Path, properties: &BTreeMap<String, String>) -> &ServerXml {
        let stamps = ["conf/server.xml", "conf/catalina.properties"].map(|file| {
            let data = fs::metadata(base.join(file)).ok()?;
            // Unlike the time of the last write, nobody can set that of the last change.
            Some((data.dev(), data.ino(), data.ctime(), data.ctime_nsec(), data.size()))
        });
        let owner = owner(base);
        let is_fresh = stamps[0].is_some()
            && self.read.as_ref().is_some_and(|(seen, of, with)| *seen == stamps && *of == owner && with == properties);
        if !is_fresh {
            self.server = read(base, properties);
            self.read = Some((stamps, owner, properties.clone()));
        }
        &self.server
    }

    /// What was read last.
    pub fn last(&self) -> &ServerXml {
        &self.server
    }
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
    if !entities_are_bounded(text) {
        server.problems.push("conf/server.xml uses entities beyond bounds: it is not read".to_owned());
        return server;
    }
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
        // Complaints repeat what is written, never the value of a property: it may be a secret.
        let written = element.attribute("port").unwrap_or("-1");
        let port = match substitute(written, properties).trim().parse::<i64>() {
            // Tomcat leaves a connector with a negative port out, and gives one with port 0 a port of the system's choice.
            Ok(port) if port <= 0 => continue,
            Ok(port) => port.saturating_add(offset(root)).saturating_add(offset(element)),
            Err(_) => {
                server.problems.push(format!("conf/server.xml line {line}: `{written}` is no port"));
                continue;
            }
        };
        let Ok(port) = u16::try_from(port) else {
            server.problems.push(format!("conf/server.xml line {line}: port {written} is out of range"));
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

/// Whether the entities of a document cannot come to more than [`MAX_ENTITIES`]: the parser bounds how deep they are
/// nested and how often they are used inside of each other, but not how often they are used elsewhere.
fn entities_are_bounded(text: &str) -> bool {
    let values: Vec<&str> = text
        .split("<!ENTITY")
        .skip(1)
        .filter_map(|declaration| {
            let start = declaration.find(['"', '\''])?;
            let (quote, value) = declaration[start..].split_at(1);
            // A value may hold the very word by which the text was split; then the rest of it counts as another.
            Some(value.split_once(quote).map_or(value, |(value, _)| value))
        })
        .collect();
    let references = |text: &str| {
        const PREDEFINED: [&str; 6] = ["#", "amp;", "lt;", "gt;", "quot;", "apos;"];
        text.split('&').skip(1).filter(|rest| !PREDEFINED.iter().any(|name| rest.starts_with(name))).count()
    };
    let longest = values.iter().map(|value| value.len()).max().unwrap_or(0);
    let nested = if values.iter().any(|value| references(value) > 0) { MAX_NESTED } else { 1 };
    references(text).saturating_mul(longest).saturating_mul(nested) <= MAX_ENTITIES
}

/// Replaces `${name}` and `${name:-default}` by the value of the property, as Tomcat's digester does. What
/// grows beyond [`MAX_VALUE`] is left as it is: properties could be made to come to any length.
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
        if result.len() > MAX_VALUE {
            return text.to_owned();
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
            ("<Server><Service><Connector port=\"${secret}\"/></Service></Server>", "`${secret}` is no port"),
        ] {
            let secret = BTreeMap::from([("secret".to_owned(), "hunter2".to_owned())]);
            let problems = parse(text, &secret).problems;
            assert!(problems.iter().any(|found| found.contains(problem)), "{text}: {problems:?}");
        }
    }

    #[test]
    fn entities_beyond_bounds_are_not_expanded() {
        let long = "x".repeat(100_000);
        let used = "&a;".repeat(1000);
        let nested = format!("<!ENTITY b \"{}\">", "&a;".repeat(200));
        for (dtd, inner) in [
            ("", format!("<Connector port=\"{used}\"/>")),
            ("", format!("<Service>{used}</Service>")),
            (nested.as_str(), "<Connector port=\"&b;\"/>".to_owned()),
        ] {
            let text = format!("<!DOCTYPE Server [<!ENTITY a '{long}'>{dtd}]><Server>{inner}</Server>");
            let problems = parse(&text, &BTreeMap::new()).problems;
            assert!(problems[0].contains("entities beyond bounds"), "{problems:?}");
        }
    }

    #[test]
    fn properties_cannot_be_made_to_come_to_any_length() {
        let properties = BTreeMap::from([("a".to_owned(), "x".repeat(MAX_VALUE))]);
        let text = "${a}".repeat(100);
        assert_eq!(substitute(&text, &properties), text);
    }

    #[test]
    fn what_is_cached_is_read_again_when_it_changes() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("conf")).unwrap();
        let mut cache = Cache::default();
        let mut ports = |content: Option<&str>| -> Vec<u16> {
            if let Some(content) = content {
                fs::write(base.path().join("conf/server.xml"), content).unwrap();
            }
            cache.read(base.path(), &BTreeMap::new()).connectors.iter().map(|connector| connector.port).collect()
        };
        assert!(ports(None).is_empty());
        for _ in 0..2 {
            assert_eq!(ports(Some("<Server><Service><Connector port='1'/></Service></Server>")), [1]);
        }
        assert_eq!(ports(Some("<Server><Service><Connector port='22'/></Service></Server>")), [22]);
    }
}
