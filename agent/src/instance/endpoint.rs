//! Which sockets an instance should have, which it has, and where it can be asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::rules::Sockets;
use crate::{
    os::sockets::{Listener, Owned},
    tomcat::{
        probe::Target,
        server_xml::{Connector, Kind, ServerXml},
    },
};

/// What the sockets of a process tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// In the terms of the rules.
    pub sockets: Sockets,
    /// Where to ask; `None` if there is nobody to ask.
    pub target: Option<Target>,
    /// A connector besides the first that does not listen, in words.
    pub note: Option<String>,
}

/// What has been seen of a process before.
#[derive(Debug, Clone, Copy, Default)]
pub struct History<'a> {
    /// The ports of its connectors that it has held. Other sockets, such as that of a debugger, come and go.
    pub held: &'a [u16],
    /// It has had the time, or given the answer, that ends a start.
    pub is_up: bool,
    /// It has had sockets of its connectors, and not the first, for longer than their opening takes.
    pub is_late: bool,
}

/// Compares the connectors of `server.xml` with the sockets that the process has (`owned`) and all others (`all`).
///
/// `holder` names who holds a socket by its inode.
pub fn survey(
    server: &ServerXml,
    all: &[Listener],
    owned: &[Owned],
    history: History<'_>,
    holder: impl FnOnce(u64) -> String,
) -> Survey {
    let is_owned = |connector: &Connector| owned.iter().find(|own| own.listener.address.port() == connector.port);
    let asked = [Kind::Http, Kind::Https, Kind::Other];
    let first = asked.iter().find_map(|kind| server.connectors.iter().find(|connector| connector.kind == *kind));
    let only = |sockets| Survey { sockets, target: None, note: None };

    // A file that was changed since its start names other ports than the process holds.
    let is_connector =
        |port: u16| history.held.contains(&port) || server.connectors.iter().any(|connector| connector.port == port);
    if !history.held.is_empty() && !owned.iter().any(|own| is_connector(own.listener.address.port())) {
        return Survey { target: first.and_then(|connector| target(connector, None)), ..only(Sockets::GivenUp) };
    }
    let Some(first) = first else {
        // Nothing is known to wait for: sockets speak for themselves, and without any the process does.
        let silent = owned.is_empty() && !server.problems.is_empty() && !history.is_up;
        return only(if silent { Sockets::NotYet } else { Sockets::Open });
    };
    if let Some(own) = is_owned(first) {
        let missing: Vec<String> = server
            .connectors
            .iter()
            .filter(|connector| is_owned(connector).is_none())
            .map(|connector| connector.port.to_string())
            .collect();
        let note = (history.is_up && !missing.is_empty())
            .then(|| format!("no connector listens on port {}", missing.join(", ")));
        return Survey { sockets: Sockets::Open, target: target(first, Some(own.listener.address)), note };
    }
    let waiting = Survey { sockets: Sockets::NotYet, target: target(first, None), note: None };
    if let Some(held) = all.iter().find(|listener| collides(first, listener)) {
        return Survey { sockets: Sockets::Held { port: first.port, by: holder(held.inode) }, ..waiting };
    }
    let others = server.connectors.iter().any(|connector| is_owned(connector).is_some());
    match (others, history) {
        (true, History { is_late: true, .. }) => Survey { sockets: Sockets::Missing { port: first.port }, ..waiting },
        // It came up with other ports than the file names now, so the file was changed since.
        (false, History { is_up: true, held, .. }) if !owned.is_empty() && !held.contains(&first.port) => {
            let note = format!(
                "conf/server.xml names port {}, where it does not listen: changed since its start?",
                first.port
            );
            Survey { note: Some(note), ..only(Sockets::Open) }
        }
        _ => waiting,
    }
}

/// Whether a listening socket keeps a connector from opening its own.
fn collides(connector: &Connector, listener: &Listener) -> bool {
    let address = listener.address.ip().to_canonical();
    listener.address.port() == connector.port
        && connector.address.is_none_or(|wanted| address.is_unspecified() || wanted.to_canonical() == address)
}

fn target(connector: &Connector, listening: Option<SocketAddr>) -> Option<Target> {
    let ip = listening.map(|address| address.ip().to_canonical()).or(connector.address);
    let ip = match ip {
        Some(IpAddr::V6(ip)) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(ip) if !ip.is_unspecified() => ip,
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    // A dual-stack socket, which Java opens by default, answers on the IPv4 loopback as well.
    let ip = if ip == IpAddr::V6(Ipv6Addr::LOCALHOST) && connector.address.is_none() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        ip
    };
    let address = SocketAddr::new(ip, connector.port);
    (connector.kind != Kind::Other).then_some(Target { address, secure: connector.kind == Kind::Https })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(port: u16, kind: Kind) -> Connector {
        Connector { port, address: None, kind }
    }

    fn listener(port: u16) -> Listener {
        Listener { address: SocketAddr::from(([127, 0, 0, 1], port)), uid: 0, inode: u64::from(port) }
    }

    fn look(connectors: &[(u16, Kind)], owned: &[u16], others: &[u16], history: History<'_>) -> Survey {
        let connectors = connectors.iter().map(|&(port, kind)| connector(port, kind)).collect();
        let server = ServerXml { connectors, problems: vec![] };
        let owned: Vec<Owned> = owned.iter().map(|&port| Owned::assumed(listener(port))).collect();
        let all: Vec<Listener> = others.iter().map(|&port| listener(port)).collect();
        survey(&server, &all, &owned, history, |inode| format!("holder of {inode}"))
    }

    #[test]
    fn the_table_of_sockets() {
        let http = [(80, Kind::Http)];
        let two = [(80, Kind::Http), (81, Kind::Http)];
        let fresh = History::default();
        let up = History { held: &[80], is_up: true, is_late: true };
        let elsewhere = History { held: &[81], ..up };
        let unseen = History { held: &[], ..up };
        let held = Sockets::Held { port: 80, by: "holder of 80".to_owned() };
        for (connectors, owned, others, history, sockets) in [
            (&http[..], &[][..], &[][..], fresh, Sockets::NotYet),
            (&http, &[80], &[], fresh, Sockets::Open),
            (&http, &[], &[80], fresh, held.clone()),
            (&http, &[], &[], up, Sockets::GivenUp),
            (&two, &[81], &[], fresh, Sockets::NotYet),
            (&two, &[81], &[], up, Sockets::Missing { port: 80 }),
            (&two, &[81], &[80], up, held),
            // A port that no connector names, such as that of a debugger, says nothing while it starts.
            (&http, &[9999], &[], fresh, Sockets::NotYet),
            (&http, &[9999], &[], unseen, Sockets::Open),
            // Nor does it keep the instance alive when the connectors are closed, or end it when it is closed itself.
            (&http, &[9999], &[], up, Sockets::GivenUp),
            (&two, &[9999], &[], elsewhere, Sockets::GivenUp),
            (&http, &[], &[], unseen, Sockets::NotYet),
            // The file was changed since the start.
            (&http, &[81], &[], elsewhere, Sockets::Open),
            (&http, &[9999], &[], elsewhere, Sockets::GivenUp),
            (&[], &[], &[], fresh, Sockets::Open),
            (&[], &[8009], &[], fresh, Sockets::Open),
        ] {
            let survey = look(connectors, owned, others, history);
            assert_eq!(survey.sockets, sockets, "{connectors:?} {owned:?} {others:?} {history:?}");
        }
    }

    #[test]
    fn the_first_http_connector_is_asked() {
        let up = History { held: &[80, 8009], is_up: true, is_late: true };
        let survey = look(&[(8009, Kind::Other), (8443, Kind::Https), (80, Kind::Http)], &[80, 8009], &[], up);
        let target = survey.target.unwrap();
        assert_eq!((target.address.port(), target.secure), (80, false));
        assert_eq!(survey.note.as_deref(), Some("no connector listens on port 8443"));
        assert_eq!(look(&[(8009, Kind::Other)], &[8009], &[], up).target, None);
    }

    #[test]
    fn an_address_collides_with_itself_and_with_all() {
        let wanted = Connector { address: Some([10, 0, 0, 1].into()), ..connector(80, Kind::Http) };
        for (address, expected) in
            [("10.0.0.1:80", true), ("0.0.0.0:80", true), ("[::]:80", true), ("10.0.0.2:80", false)]
        {
            let other = Listener { address: address.parse().unwrap(), uid: 0, inode: 1 };
            assert_eq!(collides(&wanted, &other), expected, "{address}");
        }
    }
}
