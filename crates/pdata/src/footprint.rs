//! The memory that facts hold. Users choose how long paths are, so bounds count bytes, not facts.
//!
//! Facts that several holders share are counted by each holder as its share of them, so that sums over all holders come
//! out right.

use std::borrow::Cow;
use std::mem::{size_of, size_of_val};
use std::path::Path;
use std::sync::Arc;

use crate::{
    Attribute, AttributeValue, Attributes, Backing, Cgroup, Code, Context, Event, Executable, Frame,
    Function, Image, ImageKind, Lines, MappedFile, Mapping, Parent, ProcessTransition, Sample, Script,
};

/// The part of a shared value's bytes that one holder is charged with.
fn share<T: ?Sized>(shared: &Arc<T>, bytes: usize) -> usize {
    // Two counts come before what an `Arc` holds.
    let bytes = bytes.saturating_add(2 * size_of::<usize>());
    bytes / Arc::strong_count(shared).max(1)
}

fn of_path(path: &Path) -> usize {
    path.as_os_str().len()
}

fn of_optional_path(path: Option<&Path>) -> usize {
    path.map_or(0, of_path)
}

impl Executable {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + of_path(&self.path) + of_optional_path(self.own_path.as_deref())
    }
}

impl Script {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + of_path(&self.path) + of_path(&self.interpreter)
    }
}

impl ImageKind {
    /// Bytes that go with this holder of the description, beside its own size.
    fn share(&self) -> usize {
        self.sum(|file| share(file, file.footprint()), |script| share(script, script.footprint()))
    }

    /// Bytes that are held for as long as this description is, beside its own size, even if others share them.
    fn footprint(&self) -> usize {
        self.sum(|file| file.footprint(), |script| script.footprint())
    }

    fn sum(
        &self,
        of_file: impl Fn(&Arc<Executable>) -> usize,
        of_script: impl Fn(&Arc<Script>) -> usize,
    ) -> usize {
        match self {
            Self::Kernel(_) => 0,
            Self::User { executable, script, loader } => {
                let files = of_file(executable) + loader.as_ref().map_or(0, &of_file);
                files + script.as_ref().map_or(0, of_script)
            }
        }
    }
}

impl Cgroup {
    fn footprint(&self) -> usize {
        size_of::<Self>() + of_path(&self.path) + of_optional_path(self.legacy_path.as_deref())
    }
}

impl Context {
    /// Bytes that go with this holder of the context, beside its own size.
    fn share(&self) -> usize {
        self.cgroup.as_ref().map_or(0, |cgroup| share(cgroup, cgroup.footprint()))
    }
}

impl Attribute {
    /// Bytes that go with the attribute, less those that others hold too.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let key = if let Cow::Owned(key) = &self.key { key.len() } else { 0 };
        let value = match &self.value {
            AttributeValue::Text(text) => share(text, text.len()),
            AttributeValue::Int(_) | AttributeValue::Bool(_) => 0,
            AttributeValue::Texts(texts) => {
                let all: usize = texts.iter().map(|text| size_of_val(text) + share(text, text.len())).sum();
                share(texts, all)
            }
        };
        size_of::<Self>() + key + value
    }
}

impl Attributes {
    /// Bytes that go with this holder of the sets, beside its own size.
    fn share(&self) -> usize {
        let of_set = |set: &Arc<[Attribute]>| share(set, set.iter().map(Attribute::footprint).sum());
        self.sets().iter().map(|set| size_of_val(set) + of_set(set)).sum()
    }
}

impl Image {
    /// Bytes that are held for as long as the description is. Users choose how long the paths of a program are, so the
    /// program counts whole, even if others share it: they may let go of it. Of facts about the program's surroundings
    /// only this holder's share counts.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.surroundings() + self.kind.footprint()
    }

    /// The share of a shared description that one holder has.
    #[must_use]
    pub fn share(image: &Arc<Self>) -> usize {
        share(image, image.surroundings() + image.kind.share())
    }

    fn surroundings(&self) -> usize {
        let of_parent =
            |parent: &Parent| size_of::<Parent>() + parent.kind.as_ref().map_or(0, ImageKind::share);
        let parents = share(&self.parents, self.parents.iter().map(of_parent).sum());
        let context = self.context.as_ref().map_or(0, Context::share);
        size_of::<Self>() + parents + context + self.attributes.share()
    }
}

impl MappedFile {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let facts = self.facts.get().map_or(0, |facts| {
            size_of_val(&*facts.segments) + facts.go_build_id.as_ref().map_or(0, |id| id.len())
        });
        size_of::<Self>() + of_path(&self.path) + of_optional_path(self.own_path.as_deref()) + facts
    }
}

impl Mapping {
    /// The share of a shared mapping, and of its file, that one holder has.
    #[must_use]
    pub fn share(mapping: &Arc<Self>) -> usize {
        let backing = match &mapping.backing {
            Backing::File(file) => share(file, file.footprint()),
            // The kernel's own images are few, and live as long as the agent.
            Backing::Kernel(_) | Backing::Anonymous(_) => 0,
            Backing::Special(name) => share(name, name.len()),
        };
        share(mapping, size_of::<Self>() + backing)
    }
}

impl Function {
    /// Bytes that the description holds.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let texts = [self.system_name.as_ref(), self.file.as_ref()].into_iter().flatten();
        size_of::<Self>() + self.name.len() + texts.map(|text| text.len()).sum::<usize>()
    }
}

impl Frame {
    /// Bytes that the frame holds, with its share of values that other frames hold too.
    fn footprint(&self) -> usize {
        let code = match &self.code {
            Code::Mapped(mapping) => Mapping::share(mapping),
            Code::Interpreted(function, _) => share(function, function.footprint()),
            Code::Kernel | Code::Unknown => 0,
        };
        let of_lines = |lines: &Arc<Lines>| {
            let of_line =
                |line: &crate::Line| size_of_val(line) + share(&line.function, line.function.footprint());
            share(lines, size_of::<Lines>() + lines.0.iter().map(of_line).sum::<usize>())
        };
        size_of::<Self>() + code + self.lines.as_ref().map_or(0, of_lines)
    }
}

impl Sample {
    /// Bytes that go with the sample beside its own size, with its share of values that other samples hold too.
    #[must_use]
    pub fn share(&self) -> usize {
        let frames: usize = self.stack.frames.iter().map(Frame::footprint).sum();
        frames + self.image.as_ref().map_or(0, Image::share) + self.context.share()
    }
}

impl Event {
    /// Bytes that go with the event beside its own size, with its share of values that others hold too.
    #[must_use]
    pub fn share(&self) -> usize {
        match self {
            Self::Sample(sample) => sample.share(),
            Self::Process(event) => event.transition.footprint(),
            Self::Loss(_) => 0,
            Self::Census(census) => size_of_val(&*census.processes),
        }
    }
}

impl ProcessTransition {
    /// Bytes that the transition holds beside its own size. Users choose the lengths of paths: up to 12 KiB of them
    /// come with an exec.
    fn footprint(&self) -> usize {
        match self {
            Self::Seen { executable, .. } => executable.as_deref().map_or(0, Executable::footprint),
            Self::Exec { executable, filename, interpreter, environment, arguments, .. } => {
                let texts = [interpreter.as_ref(), environment.as_ref(), Some(arguments)];
                let texts = texts.into_iter().flatten();
                executable.footprint() + filename.len() + texts.map(|text| text.len()).sum::<usize>()
            }
            Self::Fork { .. } | Self::Rename { .. } | Self::Exit | Self::Freed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Comm, FileOffset, ImageKey, KTime, Pc, ProcessEvent, Relatives, Stack, UnixNanos};

    fn mapping(path: &str) -> Arc<Mapping> {
        let backing = Backing::File(Arc::new(MappedFile::at(Path::new(path))));
        Arc::new(Mapping { start: Pc(0), end: Pc(1), file_offset: FileOffset(0), backing })
    }

    #[test]
    fn a_long_path_weighs_what_it_holds_and_is_counted_once_among_all_holders() {
        let (short, long) = (mapping("/a"), mapping(&"/a".repeat(3000)));
        assert!(Mapping::share(&long) > Mapping::share(&short) + 5900);
        let holders: Vec<_> = (0..99).map(|_| Arc::clone(&long)).collect();
        let total: usize = holders.iter().chain([&long]).map(Mapping::share).sum();
        assert!((6000..7000).contains(&total), "{total}");
    }

    #[test]
    fn a_sample_weighs_the_mappings_names_and_attributes_that_only_it_holds() {
        let text = |len| "x".repeat(len);
        let function = Function { name: text(10_000).into(), ..Function::default() };
        let line = crate::Line { function: Arc::new(function), line: 1 };
        let lines = Some(Arc::new(Lines([line].into())));
        let frame = Frame { lines, ..Frame::exact(Pc(1), Code::Mapped(mapping(&text(100_000)))) };
        let kind = ImageKind::Kernel(crate::Comm::default());
        let mut image = Image::new(ImageKey::default(), UnixNanos::default(), kind);
        image.attributes.add([Attribute::text("container.id", text(1_000_000))].into());
        let stack = Stack { frames: [frame].into(), ..Stack::default() };
        let sample = Sample { stack, image: Some(Arc::new(image)), ..Sample::default() };
        assert!((1_110_000..1_112_000).contains(&sample.share()), "{}", sample.share());
    }

    /// An exec counts all its bytes: when it counted as 256, whatever it held, 64 MiB of execs were 3 GiB.
    #[test]
    fn an_exec_holds_what_its_paths_do() {
        let executable = Executable::at(Path::new(&"/a".repeat(2000)));
        let exec = ProcessTransition::Exec {
            executable: Box::new(executable),
            comm: Comm::default(),
            filename: vec![b'a'; 4000].into(),
            interpreter: Some(vec![b'a'; 255].into()),
            environment: Some(vec![b'a'; 500].into()),
            arguments: vec![b'a'; 500].into(),
            relatives: Relatives::default(),
        };
        let event = ProcessEvent { at: KTime::ZERO, image: ImageKey::default(), transition: exec };
        let share = Event::Process(event).share();
        assert!((9255..10_000).contains(&share), "{share}");
    }
}
