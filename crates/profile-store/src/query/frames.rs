//! The frames of all generations under one number each, and what the rules make of them.

use foldhash::HashMap;
use serde::Serialize;

use crate::frame::{FrameFlags, FrameText, base, label};
use crate::generation::Generation;
use crate::query::rules::{Fate, Rules};
use crate::table::number;

/// A frame as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct FrameView {
    /// What it is called.
    pub name: String,
    /// The file or other memory that its code is in.
    pub module: String,
    /// The module's build ID.
    pub build_id: String,
    /// The function's source file, and the line at which it starts.
    pub file: String,
    /// See `file`.
    pub line: u32,
    /// Marks, as in [`FrameFlags`]; 8 is for what stands for several frames or none.
    pub flags: u8,
}

/// The mark of what stands for several frames or none: a group, a module, "other".
pub(crate) const SUMMARY: u8 = 8;

impl FrameView {
    /// What stands for several frames.
    pub(crate) fn summary(name: &str, module: &str) -> Self {
        Self { name: name.to_owned(), module: module.to_owned(), flags: SUMMARY, ..Self::default() }
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

    /// All code of a module as one.
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

/// Frames of all generations, each once.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    numbers: HashMap<FrameView, u32>,
    views: Vec<FrameView>,
}

/// What a frame of a generation is shown as; `None` if it is not.
pub(crate) type Shown = Option<u32>;

impl Frames {
    /// What each frame of a generation is shown as, under these rules.
    pub(crate) fn of(&mut self, generation: &Generation, rules: &Rules, used: &[bool]) -> Vec<Shown> {
        let rows = generation.frames.items().iter().enumerate();
        let shown = rows.map(|(id, row)| {
            if !used.get(id).copied().unwrap_or_default() {
                return None;
            }
            let text = generation.frame_text(row);
            match rules.fate(&text) {
                Fate::Hidden => None,
                Fate::Shown => Some(self.number(FrameView::of(&text))),
                Fate::Folded => Some(self.number(FrameView::module_of(&text))),
            }
        });
        shown.collect()
    }

    pub(crate) fn number(&mut self, view: FrameView) -> u32 {
        if let Some(&number) = self.numbers.get(&view) {
            return number;
        }
        let number = number(self.views.len());
        self.views.push(view.clone());
        self.numbers.insert(view, number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&FrameView> {
        self.views.get(number as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.views.len()
    }
}
