//! The board of all tallies of the agent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::tally::{ProgramQuality, Tally};

/// The tallies of all pipelines that run. There is one board in a process.
#[derive(Debug, Default)]
pub struct QualityBoard {
    watchers: Arc<AtomicUsize>,
    tallies: Mutex<Vec<(String, Weak<Tally>)>>,
}

/// A guard of somebody who watches the board: tallies count until it is dropped.
#[derive(Debug)]
pub struct Watch(Arc<AtomicUsize>);

impl QualityBoard {
    /// Makes the tally of a pipeline, and shows it for as long as somebody has it.
    pub fn tally(&self, pipeline: &str) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(Arc::clone(&self.watchers)));
        // No panic happens while it is held.
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.retain(|(_, other)| other.strong_count() > 0);
        tallies.push((pipeline.to_owned(), Arc::downgrade(&tally)));
        tally
    }

    /// Has the tallies count from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watch(Arc::clone(&self.watchers))
    }

    /// The programs of each pipeline, by the pipeline's name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(String, Vec<ProgramQuality>)> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shown = tallies.into_iter().filter_map(|(pipeline, tally)| Some((pipeline, tally.upgrade()?)));
        let mut shown: Vec<_> = shown.map(|(pipeline, tally)| (pipeline, tally.programs())).collect();
        shown.sort_by(|(a, _), (b, _)| a.cmp(b));
        shown
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pdata::{
        Code, Event, Executable, Frame, Function, Image, ImageKey, ImageKind, Line, Lines, Pc, Sample, Stack,
        StackEnd, UnixNanos, Watermark,
    };

    use super::*;
    use crate::program::End;
    use crate::tally::MAX_PROGRAMS;

    /// A sample of a program with a kernel frame and two user frames, the leaf of which has a name.
    fn sample(program: &str, end: StackEnd) -> Event {
        let executable = Executable::at(Path::new(program));
        let kind = ImageKind::User { executable: Arc::new(executable), script: None, loader: None };
        let function = Arc::new(Function { name: "leaf".into(), ..Function::default() });
        let lines = Some(Arc::new(Lines([Line { function, line: 0 }].into())));
        let frames = [
            Frame::exact(Pc(u64::MAX), Code::Kernel),
            Frame { lines, ..Frame::exact(Pc(1), Code::Unknown) },
            Frame::caller(Pc(2), Code::Unknown),
        ];
        Event::Sample(Sample {
            stack: Stack { frames: frames.into(), end },
            image: Some(Arc::new(Image::new(ImageKey::default(), UnixNanos::default(), kind))),
            ..Sample::default()
        })
    }

    fn batch(samples: Vec<Event>) -> pdata::Batch {
        pdata::Batch::new(samples, Watermark::NONE, pdata::ClockOffset::default())
    }

    #[test]
    fn stacks_are_counted_by_their_end_while_somebody_watches() {
        let board = QualityBoard::default();
        let tally = board.tally("profiles");
        let samples = [StackEnd::Root, StackEnd::Root, StackEnd::Pending, StackEnd::NotReported];
        let batch = batch(samples.map(|end| sample("/bin/a", end)).into());
        tally.record(&batch);
        assert_eq!(board.snapshot(), [("profiles".to_owned(), Vec::new())], "nobody watches");
        let watch = board.watch();
        tally.record(&batch);
        drop(watch);
        tally.record(&batch);
        let [(_, programs)] = &*board.snapshot() else { panic!("one pipeline") };
        let [of_a] = &**programs else { panic!("{programs:?}") };
        assert_eq!(of_a.program.as_deref(), Some(Path::new("/bin/a")));
        let counts = End::ALL.map(|end| of_a.quality.ended(end));
        assert_eq!((counts, of_a.quality.stacks()), ([2, 1, 0, 0, 0, 0, 1], 4));
        assert_eq!((of_a.quality.frames, of_a.quality.named), (8, 4), "kernel frames are not the program's");
        drop(tally);
        assert_eq!(board.snapshot(), [], "the pipeline has gone");
    }

    #[test]
    fn ever_new_programs_take_no_place_from_those_with_many_stacks() {
        let board = QualityBoard::default();
        let (tally, _watch) = (board.tally("profiles"), board.watch());
        tally.record(&batch(vec![sample("/bin/busy", StackEnd::Root); 3]));
        let new = |number: usize| sample(&format!("/tmp/{number}"), StackEnd::BadFrame);
        tally.record(&batch((0..10 * MAX_PROGRAMS).map(new).collect()));
        let programs = tally.programs();
        assert_eq!(programs.len(), MAX_PROGRAMS + 1);
        assert_eq!(programs[0].program.as_deref(), Some(Path::new("/bin/busy")));
        assert_eq!(programs.last().unwrap().program, None);
        let stacks: u64 = programs.iter().map(|program| program.quality.stacks()).sum();
        assert_eq!(stacks, 3 + 10 * MAX_PROGRAMS as u64, "no stack is left out");
    }
}
