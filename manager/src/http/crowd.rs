//! How many connections of people one address may have: one host must not take the room of all others.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many connections of people may be open from one IPv4 address, or from one /64 network of IPv6. A browser needs
/// one, however many tabs it has; many browsers may be behind one address.
const MOST_OF_ONE: usize = 512;

/// How often it is logged at most that connections are turned away.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The places of all addresses.
#[derive(Debug, Default)]
pub struct Crowd {
    // Held for moments only, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Only of addresses that have connections, so it holds no more than there are connections.
    taken: HashMap<IpAddr, usize>,
    turned_away: u64,
    logged: Option<Instant>,
}

/// A place that a connection has until it is dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    source: IpAddr,
}

impl Crowd {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from an address; `None` if those of its network are taken.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = network(address);
        let mut inner = self.lock();
        let taken = inner.taken.entry(source).or_default();
        if *taken < MOST_OF_ONE {
            *taken += 1;
            return Some(Place { crowd: self.clone(), source });
        }
        if let Some(count) = inner.turned_away(Instant::now()) {
            tracing::warn!(
                "{count} connections were turned away: {source} has {MOST_OF_ONE} already, and more than that from one \
                 address are not served"
            );
        }
        None
    }
}

impl Inner {
    /// Counts a connection that is turned away; how many there were, if it is time to log it.
    fn turned_away(&mut self, now: Instant) -> Option<u64> {
        self.turned_away += 1;
        if self.logged.is_some_and(|logged| now.duration_since(logged) < LOG_EVERY) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.turned_away))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.crowd.lock();
        if let Some(taken) = inner.taken.get_mut(&self.source) {
            *taken -= 1;
            if *taken == 0 {
                inner.taken.remove(&self.source);
            }
        }
    }
}

/// What counts as one address: whoever has an IPv6 address has the whole /64 network around it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_so_many_places_and_others_have_theirs() {
        let crowd = Arc::new(Crowd::default());
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let mut places: Vec<Place> = (0..MOST_OF_ONE).map(|_| enter("10.0.0.1").unwrap()).collect();
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("::ffff:10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        places.pop();
        assert!(enter("10.0.0.1").is_some());
        drop(places);
        assert!(crowd.lock().taken.is_empty(), "what nobody holds is forgotten");
    }

    #[test]
    fn the_table_of_networks() {
        for (address, source) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), source.parse::<IpAddr>().unwrap(), "{address}");
        }
    }

    #[test]
    fn many_that_are_turned_away_are_one_line() {
        let (mut inner, start) = (Inner::default(), Instant::now());
        assert_eq!(inner.turned_away(start), Some(1));
        assert_eq!(inner.turned_away(start), None);
        assert_eq!(inner.turned_away(start + LOG_EVERY), Some(2));
    }
}
