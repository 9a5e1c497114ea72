//! The frames of a batch: which are to be named, and naming them.

use foldhash::HashMap;
use pdata::{Backing, Batch, Code, Event, FileIdentity, Frame, ProcessKey};

use crate::metrics::Tally;
use crate::names::{Known, Names};
use crate::request::{Lookup, Space, Target, Unnamed};

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
        let process = sample.key.process;
        for (frame, position) in sample.stack.frames.iter_mut().zip(0..) {
            if frame.lines.is_some() {
                continue;
            }
            match name(frame, names, Some((&mut lookups, process))) {
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

/// Names the frames that waited for it, as far as their names have come.
pub(crate) fn name_waiting(
    batch: &mut Batch,
    names: &mut Names,
    waiting: &[FramePosition],
    tally: &mut Tally,
) {
    if waiting.is_empty() {
        return;
    }
    let events = batch.events_mut();
    for at in waiting {
        let event = usize::try_from(at.event).ok().and_then(|index| events.get_mut(index));
        let Some(Event::Sample(sample)) = event else { continue };
        let frame = usize::try_from(at.frame).ok().and_then(|index| sample.stack.frames.get_mut(index));
        let Some(frame) = frame else { continue };
        match name(frame, names, None) {
            Known::Answered(Ok(lines)) => {
                frame.lines = Some(lines);
                tally.named += 1;
            }
            Known::Answered(Err(why)) => tally.unnamed(why),
            Known::Asked | Known::Not => tally.unnamed(Unnamed::Late),
        }
    }
}

/// What is known of a frame's name; asks for it if there is somebody to ask.
fn name(frame: &Frame, names: &mut Names, ask: Option<(&mut Lookups, ProcessKey)>) -> Known {
    if frame.code.is_kernel() {
        let (space, address) = (Space::Kernel, frame.lookup_pc().0);
        let known = names.get(space, address);
        if let (Known::Not, Some((lookups, _process))) = (&known, ask) {
            names.ask(space, address);
            lookups.add(space, address, || Target::Kernel);
        }
        return known;
    }
    let Code::Mapped(mapping) = &frame.code else {
        let why = if matches!(frame.code, Code::Unknown) { Unnamed::Unmapped } else { Unnamed::NoFile };
        return Known::Answered(Err(why));
    };
    let Backing::File(file) = &mapping.backing else { return Known::Answered(Err(Unnamed::NoFile)) };
    // Without an identity it could be any file.
    if file.identity == FileIdentity::default() {
        return Known::Answered(Err(Unnamed::Gone));
    }
    let (space, address) = (Space::File(file.identity), mapping.offset_of(frame.lookup_pc()).0);
    let known = names.get(space, address);
    if let (Known::Not, Some((lookups, process))) = (&known, ask) {
        names.ask(space, address);
        let range = (mapping.start, mapping.end);
        lookups.add(space, address, || Target::File { file: file.clone(), process, range });
    }
    known
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
