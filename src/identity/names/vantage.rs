//! Where the sensor stands to the resolver, by who asks how: a machine asks for recursion, a resolver goes to the servers
//! that have the names.

use std::net::IpAddr;
use std::time::Duration;

use super::aging::{Aging, Weigh};
use crate::time::Time;

/// Which rules can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Position {
    /// Questions of clients are seen: their answers name their flows.
    BelowResolver,
    /// Only a resolver's own questions are seen: they name addresses for anybody, and chains are stitched.
    AboveResolver,
    /// No DNS for an hour.
    #[default]
    None,
}

/// Who asks, and how.
#[derive(Debug)]
pub struct Askers {
    askers: Aging<IpAddr, Asker>,
    recursive: Option<Time>,
    iterative: Option<Time>,
}

#[derive(Debug, Default)]
struct Asker {
    /// The first two servers that it asked without wishing for recursion.
    servers: [Option<IpAddr>; 2],
    /// When it last wished for it.
    wished: Option<Time>,
}

/// How long an exchange tells where the sensor stands, and a wish for recursion that its asker is no resolver.
const MEMORY: Duration = Duration::from_secs(3_600);

impl Askers {
    pub fn new(max_octets: usize) -> Self {
        Self { askers: Aging::new(max_octets), recursive: None, iterative: None }
    }

    /// Somebody asked `server`, or was answered by it. `declared`: it is known to be a resolver.
    pub fn note(
        &mut self,
        asker: IpAddr,
        server: IpAddr,
        recursion: bool,
        declared: bool,
        at: Time,
    ) {
        if recursion && !declared {
            self.recursive = Some(at);
        } else {
            self.iterative = Some(at);
        }
        // The table is changed only where something is new.
        let known = self.askers.get(&asker);
        let news = known.is_none_or(|asker| match recursion {
            true => asker.wished.is_none_or(|wished| at.since(wished) > MEMORY / 2),
            false => asker.servers.contains(&None) && !asker.servers.contains(&Some(server)),
        });
        if news {
            self.askers.change(asker, |asker| asker.note(server, recursion, at));
        }
    }

    /// Whether an address only asks servers that have the names: two of them, and never for recursion.
    pub fn is_resolver(&self, address: IpAddr, at: Time) -> bool {
        self.askers.get(&address).is_some_and(|asker| {
            !asker.servers.contains(&None)
                && asker.wished.is_none_or(|wished| at.since(wished) > MEMORY)
        })
    }

    pub fn position(&self, at: Time) -> Position {
        let lately = |seen: Option<Time>| seen.is_some_and(|seen| at.since(seen) <= MEMORY);
        if lately(self.recursive) {
            Position::BelowResolver
        } else if lately(self.iterative) {
            Position::AboveResolver
        } else {
            Position::None
        }
    }

    pub fn take_forgotten(&mut self) -> u64 {
        self.askers.take_forgotten()
    }
}

impl Asker {
    fn note(&mut self, server: IpAddr, recursion: bool, at: Time) {
        if recursion {
            self.wished = Some(at);
        } else if let Some(free) = self.servers.iter_mut().find(|known| known.is_none()) {
            *free = Some(server);
        }
    }
}

impl Weigh for Asker {
    fn octets(&self) -> usize {
        size_of::<Self>()
    }
}
