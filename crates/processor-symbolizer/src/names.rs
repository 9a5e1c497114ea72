//! Known names of addresses that samples have had lately.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use pdata::Lines;

use crate::fair::{Holding, Leaving, User};
use crate::request::{Found, Name, Space, Unnamed};

/// Bytes that an address takes beside its name.
const ENTRY: usize = 64;
/// Bytes that a space takes beside its addresses.
const SPACE: usize = 256;
/// Time after which a space that could not be read is asked for again.
const RETRY: Duration = Duration::from_secs(1);
/// Time after which an address that has no name yet, or a space whose names may have changed, is asked for again.
const COMPILED_RETRY: Duration = Duration::from_millis(200);

/// The state of an address's name.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// The name is not known, and nobody has asked for it.
    Not,
    /// The name has been asked for.
    Asked,
    /// The name, or the reason why there is none.
    Answered(Name),
}

/// Names by space and address, bounded in bytes: spaces make room: of the user whose spaces take the most, those used
/// longest ago.
#[derive(Debug)]
pub(crate) struct Names {
    spaces: HashMap<Space, Addresses>,
    max_bytes: usize,
    bytes: usize,
    /// Count of uses.
    now: u64,
}

/// An address that has been asked for.
#[derive(Debug, Default)]
struct Address {
    /// The last answer; `None` before the first.
    name: Option<Name>,
    /// True if an answer is to come: the first, one that may be a name where the last was none, or one with lines.
    is_asked: bool,
}

#[derive(Debug, Default)]
struct Addresses {
    by_address: HashMap<u64, Address>,
    bytes: usize,
    used: u64,
    /// The user of the program for which the space's first name was asked for.
    user: User,
    /// The reason why none of the space's addresses can be named, and the time until which that is believed.
    failed: Option<(Unnamed, Instant)>,
    /// Time until which an address without a name is believed to have none, in a space where it may get one: functions
    /// that are compiled at run time.
    nameless_until: Option<Instant>,
    /// Time until which names are believed to hold, in a space where others may take their places: functions that are
    /// compiled at run time.
    holds_until: Option<Instant>,
}

impl Addresses {
    /// The state of an address that nobody has asked for.
    fn failure(&self) -> Known {
        match self.failed {
            Some((why, until)) if Instant::now() < until => Known::Answered(Err(why)),
            _ => Known::Not,
        }
    }

    /// True if an address that had no name is to be asked for again.
    fn may_have_got_names(&self, space: Space) -> bool {
        matches!(space, Space::Jit(_)) && self.nameless_until.is_none_or(|until| until <= Instant::now())
    }
}

impl Names {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { spaces: HashMap::default(), max_bytes, bytes: 0, now: 0 }
    }

    /// The state of an address's name.
    pub(crate) fn get(&mut self, space: Space, address: u64) -> Known {
        self.now += 1;
        let Some(addresses) = self.spaces.get_mut(&space) else { return Known::Not };
        addresses.used = self.now;
        match addresses.by_address.get(&address) {
            Some(Address { is_asked: true, .. }) => Known::Asked,
            Some(Address { name: Some(Err(_)), .. }) if addresses.may_have_got_names(space) => Known::Not,
            Some(Address { name: Some(name), .. }) => Known::Answered(name.clone()),
            Some(Address { name: None, .. }) | None => addresses.failure(),
        }
    }

    /// The state of the name that somebody waits for: having no name is an answer, too, however long ago it came.
    /// `is_last` if nothing will be waited for any more.
    pub(crate) fn come(&mut self, space: Space, address: u64, is_last: bool) -> Known {
        let Some(addresses) = self.spaces.get(&space) else { return Known::Not };
        match addresses.by_address.get(&address) {
            Some(Address { is_asked: true, .. }) if !is_last => Known::Asked,
            Some(Address { name: Some(name), .. }) => Known::Answered(name.clone()),
            Some(Address { name: None, .. }) => Known::Asked,
            None => addresses.failure(),
        }
    }

    /// True if it is time to ask whether names of a space still hold. After true, the next call is false until the time
    /// has come again.
    pub(crate) fn is_check_due(&mut self, space: Space) -> bool {
        let Some(addresses) = self.spaces.get_mut(&space) else { return false };
        let now = Instant::now();
        let is_due = matches!(space, Space::Jit(_)) && addresses.holds_until.is_none_or(|until| until <= now);
        if is_due {
            addresses.holds_until = Some(now + COMPILED_RETRY);
        }
        is_due
    }

    /// Notes that the name of an address has been asked for.
    pub(crate) fn ask(&mut self, space: Space, address: u64, user: User) {
        self.now += 1;
        let addresses = self.spaces.entry(space).or_insert_with(|| {
            self.bytes += SPACE;
            Addresses { bytes: SPACE, user, ..Addresses::default() }
        });
        addresses.used = self.now;
        let address = addresses.by_address.entry(address).or_insert_with(|| {
            addresses.bytes += ENTRY;
            self.bytes += ENTRY;
            Address::default()
        });
        // A name that is known is not asked for.
        address.is_asked = !matches!(address.name, Some(Ok(_)));
    }

    /// Notes that names will not be answered, so that they may be asked for again.
    pub(crate) fn withdraw(&mut self, space: Space, asked: &[u64]) {
        let Some(addresses) = self.spaces.get_mut(&space) else { return };
        for address in asked {
            let Some(found) = addresses.by_address.get_mut(address) else { continue };
            found.is_asked = false;
            if found.name.is_none() {
                addresses.by_address.remove(address);
                addresses.bytes -= ENTRY;
                self.bytes -= ENTRY;
            }
        }
    }

    /// Adds an answer's names to their space.
    pub(crate) fn insert(&mut self, found: Found) {
        let Some(addresses) = self.spaces.get_mut(&found.space) else { return };
        if found.replaced {
            // Names that are asked for are still to come; of the others none holds.
            let (mut names, mut kept) = (std::mem::take(&mut addresses.by_address), SPACE);
            names.retain(|_, address| address.is_asked);
            names.values_mut().for_each(|address| address.name = None);
            kept += ENTRY * names.len();
            self.bytes -= addresses.bytes - kept;
            (addresses.by_address, addresses.bytes) = (names, kept);
        }
        match found.names {
            Ok(names) => {
                addresses.failed = None;
                let until = Some(Instant::now() + COMPILED_RETRY);
                addresses.holds_until = until;
                // Addresses that had no name are asked for at once if they may have one now: the samples at hand may be
                // the last of their process.
                addresses.nameless_until = until.filter(|_| !found.gained);
                for (address, name) in names {
                    let bytes = bytes_of(&name);
                    // Only names that were asked for and are still waited for take part in the count.
                    if let Some(address) = addresses.by_address.get_mut(&address)
                        && address.is_asked
                    {
                        let before = address.name.as_ref().map_or(0, bytes_of);
                        *address = Address { name: Some(name), is_asked: found.has_more };
                        addresses.bytes = addresses.bytes + bytes - before;
                        self.bytes = self.bytes + bytes - before;
                    }
                }
            }
            Err(why) => {
                addresses.failed = Some((why, Instant::now() + RETRY));
                let mut dropped = 0;
                addresses.by_address.retain(|_, address| {
                    dropped += match address.is_asked {
                        true => ENTRY + address.name.as_ref().map_or(0, bytes_of),
                        false => 0,
                    };
                    !address.is_asked
                });
                addresses.bytes -= dropped;
                self.bytes -= dropped;
            }
        }
        self.shrink();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of all spaces, added up.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> usize {
        let of = |addresses: &Addresses| {
            let names = addresses.by_address.values().filter_map(|address| address.name.as_ref());
            let texts: usize = names.map(bytes_of).sum();
            assert_eq!(addresses.bytes, SPACE + ENTRY * addresses.by_address.len() + texts);
            addresses.bytes
        };
        self.spaces.values().map(of).sum()
    }

    /// Drops spaces until a quarter of the room is free: of the user whose spaces take the most, those used longest
    /// ago.
    fn shrink(&mut self) {
        if self.bytes <= self.max_bytes {
            return;
        }
        let held = self.spaces.iter().map(|(&key, names)| Holding {
            key,
            user: names.user,
            weight: names.bytes,
            used: names.used,
            stays: false,
        });
        for space in Leaving::of(held) {
            if self.bytes <= self.max_bytes / 4 * 3 {
                break;
            }
            if let Some(dropped) = self.spaces.remove(&space) {
                self.bytes -= dropped.bytes;
            }
        }
    }
}

/// Bytes that a name takes, with all texts of its functions: whoever compiles them chooses how long those are. Others
/// may share the name, and drop it before.
fn bytes_of(name: &Name) -> usize {
    let bytes = |lines: &Arc<Lines>| {
        lines.0.iter().map(|line| size_of_val(line) + line.function.footprint()).sum::<usize>()
    };
    name.as_ref().map_or(0, bytes)
}
