//! The frames of a batch: finding those without names, and naming them.

use std::sync::Arc;

use foldhash::HashMap;
use pdata::{Backing, Batch, Code, Event, FileIdentity, Frame, ProcessKey, VDSO};

use crate::fair::User;
use crate::metrics::Tally;
use crate::names::{Known, Names};
use crate::request::{Lookup, Space, Target, Unnamed};

/// First bytes of the paths of files into which .NET writes code.
const DOUBLY_MAPPED: &[u8] = b"/memfd:doublemapper";

/// A frame whose name has been asked for: its event and its place in the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FramePosition {
    event: u32,
    frame: u32,
}

/// Names the frames whose functions are known already; adds the others to `waiting`, and returns the lookups that they
/// need.
pub(crate) fn name_known(
    batch: &mut Batch,
    names: &mut Names,
    waiting: &mut Vec<FramePosition>,
    tally: &mut Tally,
) -> Vec<Lookup> {
    let mut lookups = Lookups::default();
    for (event, index) in batch.events_mut().iter_mut().zip(0..) {
        let Event::Sample(sample) = event else { continue };
        let who = (sample.key.process, sample.context.user);
        for (frame, position) in sample.stack.frames.iter_mut().zip(0..) {
            if frame.lines.is_some() {
                continue;
            }
            match name(frame, who, names, &mut lookups) {
                Known::Answered(Ok(lines)) => {
                    frame.lines = Some(lines);
                    tally.named += 1;
                }
                Known::Answered(Err(why)) => tally.unnamed(why),
                Known::Asked | Known::Not => waiting.push(FramePosition { event: index, frame: position }),
            }
        }
    }
    lookups.all
}

/// Names the frames that waited for names, as far as these have come. Returns the other frames. `is_last` if they will
/// not wait any longer.
pub(crate) fn name_come(
    batch: &mut Batch,
    names: &mut Names,
    waiting: &[FramePosition],
    tally: &mut Tally,
    is_last: bool,
) -> Vec<FramePosition> {
    let mut left = Vec::new();
    if waiting.is_empty() {
        return left;
    }
    let events = batch.events_mut();
    for at in waiting {
        let event = usize::try_from(at.event).ok().and_then(|index| events.get_mut(index));
        let Some(Event::Sample(sample)) = event else { continue };
        let process = sample.key.process;
        let frame = usize::try_from(at.frame).ok().and_then(|index| sample.stack.frames.get_mut(index));
        let Some(frame) = frame else { continue };
        let come = match place(frame, process) {
            Ok((space, address)) => names.come(space, address, is_last),
            Err(why) => Known::Answered(Err(why)),
        };
        match come {
            Known::Answered(Ok(lines)) => {
                frame.lines = Some(lines);
                tally.named += 1;
            }
            Known::Answered(Err(why)) => tally.unnamed(why),
            Known::Asked | Known::Not => left.push(*at),
        }
    }
    left
}

/// Returns the state of a frame's name, and asks for the name if nobody has.
fn name(frame: &Frame, who: (ProcessKey, User), names: &mut Names, lookups: &mut Lookups) -> Known {
    let (space, address) = match place(frame, who.0) {
        Ok(place) => place,
        Err(why) => return Known::Answered(Err(why)),
    };
    let known = names.get(space, address);
    if matches!(known, Known::Not) {
        // A space that all processes share is no user's.
        let user = who.1.filter(|_| !matches!(space, Space::Kernel | Space::Vdso));
        names.ask(space, address, user);
        lookups.add(space, address, || target(frame, who, space));
    } else if names.is_check_due(space) {
        // Nobody waits for this answer, which may be that other names have taken the places of those known.
        lookups.add(space, address, || target(frame, who, space));
    }
    known
}

/// The space in which a frame's address is to be looked up, and the address in it.
fn place(frame: &Frame, process: ProcessKey) -> Result<(Space, u64), Unnamed> {
    let pc = frame.lookup_pc();
    if frame.code.is_kernel() {
        return Ok((Space::Kernel, pc.0));
    }
    let mapping = match &frame.code {
        Code::Mapped(mapping) => mapping,
        Code::Unknown => return Err(Unnamed::Unmapped),
        Code::Kernel | Code::Interpreted(..) => return Err(Unnamed::NoFile),
    };
    match &mapping.backing {
        // .NET maps the code that it compiles twice, to write it by the one mapping and to run it by the other.
        Backing::File(file) if file.path.as_os_str().as_encoded_bytes().starts_with(DOUBLY_MAPPED) => {
            Ok((Space::Jit(process), pc.0))
        }
        // Without an identity it could be any file.
        Backing::File(file) if file.identity == FileIdentity::default() => Err(Unnamed::Gone),
        Backing::File(file) => Ok((Space::File(file.identity), mapping.offset_of(pc).0)),
        Backing::Anonymous(process) => Ok((Space::Jit(*process), pc.0)),
        // The vDSO of 32-bit processes is another, below 4 GiB.
        Backing::Special(name) if **name == *VDSO && u32::try_from(mapping.start.0).is_err() => {
            Ok((Space::Vdso, pc.0.wrapping_sub(mapping.start.0)))
        }
        Backing::Special(_) | Backing::Kernel(_) => Err(Unnamed::NoFile),
    }
}

/// The source of the names of a frame's space.
fn target(frame: &Frame, (process, user): (ProcessKey, User), space: Space) -> Target {
    match (space, &frame.code) {
        (Space::Kernel, _) => Target::Kernel,
        (Space::Vdso, _) => Target::Vdso,
        (Space::Jit(process), _) => Target::Jit { process, user },
        (Space::File(_), Code::Mapped(mapping)) => match &mapping.backing {
            Backing::File(file) => {
                let range = (mapping.start, mapping.end);
                Target::File { file: Arc::clone(file), process, range, user }
            }
            _ => Target::Kernel,
        },
        // A space of a file is that of a mapping of it.
        (Space::File(_), _) => Target::Kernel,
    }
}

/// Addresses to be asked for, by space.
#[derive(Debug, Default)]
struct Lookups {
    all: Vec<Lookup>,
    by_space: HashMap<Space, usize>,
}

impl Lookups {
    fn add(&mut self, space: Space, address: u64, target: impl FnOnce() -> Target) {
        let index = *self.by_space.entry(space).or_insert_with(|| {
            self.all.push(Lookup { space, target: target(), addresses: Vec::new() });
            self.all.len() - 1
        });
        if let Some(lookup) = self.all.get_mut(index) {
            lookup.addresses.push(address);
        }
    }
}
