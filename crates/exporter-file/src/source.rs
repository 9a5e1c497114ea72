//! Batches to the contents of the records that are written.

use std::collections::BTreeMap;

use otlp_profiles::{DEFAULT_REQUEST_BYTES, Windows};
use pdata::{Batch, Loss, ProcessEvent, Sample, Watermark};
use profile_formats::{GatherSettings, Gatherer};
use windows::{Closed, EventWindows, Gather, Grouping};

use crate::config::{Config, Format};
use crate::format::Content;

/// Gathers batches into windows, each in the form that its format needs.
#[derive(Debug)]
pub(crate) enum Source {
    /// Windows of OTLP requests.
    Requests(Box<Windows>),
    /// Windows of profiles, for formats that know no OTLP.
    Profiles(Profiles),
}

/// The windows that a batch has completed.
#[derive(Debug)]
pub(crate) enum Finished {
    Requests(Vec<otlp_profiles::ProfilesRequest>),
    /// Profiles that are still to be finished, which takes a while: not on the runtime's threads.
    Profiles(Vec<Closed<Samples>>),
}

/// Windows for formats that know no OTLP.
#[derive(Debug)]
pub(crate) struct Profiles {
    events: EventWindows<Samples>,
    grouping: Grouping,
    /// Losses of windows in which no sample arrived, reported with the next one's.
    carried: BTreeMap<Box<str>, profile_formats::Loss>,
}

/// The samples and losses of a window.
#[derive(Debug)]
pub(crate) struct Samples(Gatherer);

impl Gather for Samples {
    fn sample(&mut self, sample: &Sample) {
        self.0.sample(sample);
    }

    fn loss(&mut self, loss: &Loss) {
        self.0.loss(loss);
    }

    fn process(&mut self, event: &ProcessEvent) {
        self.0.process_for_grouping(event);
    }
}

impl Source {
    pub(crate) fn of(config: &Config) -> Self {
        let grouping = Grouping::new(&config.group_by, config.fold_shorter_than);
        match config.format {
            // Bounded as a request sent by gRPC is, so that it can be sent on; the others are a window each.
            Format::Json | Format::Proto => {
                let windows = Windows::new(config.window, DEFAULT_REQUEST_BYTES).rolled_up(grouping);
                Self::Requests(Box::new(windows))
            }
            Format::Pprof | Format::Folded => Self::Profiles(Profiles {
                events: EventWindows::new(config.window).taking_processes(grouping.needs_lives()),
                grouping,
                carried: BTreeMap::new(),
            }),
        }
    }

    /// Takes a batch. Returns the windows that it completed, and the watermark to ack once those have been written or
    /// dropped.
    pub(crate) fn push(&mut self, batch: &Batch) -> (Finished, Watermark) {
        match self {
            Self::Requests(windows) => {
                let finished = windows.push(batch);
                (Finished::Requests(finished.requests), finished.acked)
            }
            Self::Profiles(profiles) => {
                let (closed, acked) = profiles.push(batch);
                (Finished::Profiles(closed), acked)
            }
        }
    }
}

impl Profiles {
    fn push(&mut self, batch: &Batch) -> (Vec<Closed<Samples>>, Watermark) {
        let (clock, settings, grouping) = (batch.clock, GatherSettings::default(), &self.grouping);
        let start = || Samples(Gatherer::new(clock, settings).rolled_up(grouping.clone()));
        let (mut closed, acked) = self.events.push(batch, start);
        closed.retain_mut(|window| {
            let Samples(gatherer) = &mut window.gathered;
            gatherer.carry(&std::mem::take(&mut self.carried));
            let is_worth_a_record = !gatherer.is_empty();
            if !is_worth_a_record {
                self.carried = gatherer.losses().clone();
            }
            is_worth_a_record
        });
        (closed, acked)
    }
}

impl Finished {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Requests(requests) => requests.is_empty(),
            Self::Profiles(closed) => closed.is_empty(),
        }
    }

    /// The items to be written, in order.
    pub(crate) fn contents(self) -> Vec<Content> {
        match self {
            Self::Requests(requests) => requests.into_iter().map(Content::Request).collect(),
            Self::Profiles(closed) => closed.into_iter().map(content).collect(),
        }
    }
}

fn content(Closed { from, until, gathered: Samples(gatherer) }: Closed<Samples>) -> Content {
    let start = gatherer.unix(from);
    Content::Profile(Box::new(gatherer.finish(from, until)), start)
}
