//! The frames of all generations under one number each, after the rules are applied.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use serde::Serialize;

use crate::frame::{FrameFlags, FrameText, base, label};
use crate::generation::Generation;
use crate::query::rules::{Fate, Rules};
use crate::table::number;

/// A frame as an answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct FrameView {
    /// The frame's label: its function's name, or the module and the address in it.
    pub name: String,
    /// The file or other memory that the frame's code is in.
    pub module: String,
    /// The module's build ID.
    pub build_id: String,
    /// The function's source file, and the line at which it starts.
    pub file: String,
    /// See `file`.
    pub line: u32,
    /// Marks, as in [`FrameFlags`]; 8 marks a row that stands for several frames or none.
    pub flags: u8,
}

/// The mark of a row that stands for several frames or none: a group, a module, "other".
pub(crate) const SUMMARY: u8 = 8;

impl FrameView {
    /// A row that stands for several frames.
    pub(crate) fn summary(name: &str, module: &str) -> Self {
        Self { name: name.to_owned(), module: module.to_owned(), flags: SUMMARY, ..Self::default() }
    }

    /// All that distinguishes a frame, in an order in which frames of one name are neighbours.
    pub(crate) fn key(&self) -> (&str, &str, &str, &str, u32, u8) {
        (&self.name, &self.module, &self.build_id, &self.file, self.line, self.flags)
    }

    fn of(frame: &FrameText<'_>) -> Self {
        Self {
            name: label(frame.name, frame.module, frame.address),
            module: frame.module.to_owned(),
            build_id: frame.build_id.to_owned(),
            file: frame.file.to_owned(),
            line: frame.line,
            flags: frame.flags.0,
        }
    }

    /// A row that stands for all code of a module.
    fn module_of(frame: &FrameText<'_>) -> Self {
        let FrameFlags(flags) = frame.flags;
        let kept = flags & (FrameFlags::KERNEL.0 | FrameFlags::PROGRAM.0);
        let name = if frame.module.is_empty() { frame.name } else { base(frame.module) };
        Self {
            flags: kept | SUMMARY,
            build_id: frame.build_id.to_owned(),
            ..Self::summary(name, frame.module)
        }
    }
}

/// The frames of all generations, each held once.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    places: HashTable<u32>,
    /// A seeded hasher: users choose names.
    hasher: RandomState,
    views: Vec<FrameView>,
}

/// The number of the [`FrameView`] that a frame is shown as; `None` if it is hidden.
pub(crate) type Shown = Option<u32>;

/// The frames of a generation as they are shown, each looked up when it is first asked for.
#[derive(Debug)]
pub(crate) struct ShownFrames {
    known: Vec<Option<Shown>>,
}

impl ShownFrames {
    pub(crate) fn of(generation: &Generation) -> Self {
        Self { known: vec![None; generation.frames.items().len()] }
    }

    /// The frame as it is shown under these rules; `None` for a number that is no frame's.
    pub(crate) fn get(
        &mut self,
        frame: u32,
        generation: &Generation,
        (frames, rules): (&mut Frames, &Rules),
    ) -> Shown {
        let slot = self.known.get_mut(frame as usize)?;
        if let Some(known) = *slot {
            return known;
        }
        let text = generation.frame_text(generation.frames.items().get(frame as usize)?);
        let shown = match rules.fate(&text) {
            Fate::Hidden => None,
            Fate::Shown => Some(frames.number_of(&text)),
            Fate::Folded => Some(frames.number(FrameView::module_of(&text))),
        };
        *slot = Some(shown);
        shown
    }
}

impl Frames {
    /// The number of a frame. Looking up a known frame allocates no memory: most frames of a generation are in others,
    /// too.
    fn number_of(&mut self, text: &FrameText<'_>) -> u32 {
        if text.name.is_empty() {
            return self.number(FrameView::of(text));
        }
        let key = (text.name, text.module, text.build_id, text.file, text.line, text.flags.0);
        let views = &self.views;
        let is = |&at: &u32| views.get(at as usize).is_some_and(|view| view.key() == key);
        match self.places.find(self.hasher.hash_one(key), is) {
            Some(&known) => known,
            None => self.insert(FrameView::of(text)),
        }
    }

    pub(crate) fn number(&mut self, view: FrameView) -> u32 {
        let views = &self.views;
        let is = |&at: &u32| views.get(at as usize) == Some(&view);
        match self.places.find(self.hasher.hash_one(view.key()), is) {
            Some(&known) => known,
            None => self.insert(view),
        }
    }

    fn insert(&mut self, view: FrameView) -> u32 {
        let (number, hash) = (number(self.views.len()), self.hasher.hash_one(view.key()));
        self.views.push(view);
        let (views, hasher) = (&self.views, &self.hasher);
        let rehash = |&at: &u32| views.get(at as usize).map_or(0, |view| hasher.hash_one(view.key()));
        self.places.insert_unique(hash, number, rehash);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&FrameView> {
        self.views.get(number as usize)
    }
}
