//! What perf reports beside samples: every executable mapping of every process, with its build ID.

use pdata::{Event, KTime};

use crate::error::StartError;
use crate::perf_record::{self, Said};
use crate::sys::PerfRing;

/// An exec leaves about 1 KiB, so this holds some 500 of them on one CPU between two polls. With its control page it is
/// what the kernel lets anyone lock (`kernel.perf_event_mlock_kb`).
pub(crate) const RING_BYTES: usize = 512 << 10;

/// One ring a CPU.
#[derive(Debug)]
pub(crate) struct Sideband {
    rings: Vec<(PerfRing, KTime)>,
}

/// What a drain found that is no event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drained {
    /// Processes made.
    pub forks: u64,
    /// Records that could not be decoded.
    pub malformed: u64,
}

impl Sideband {
    /// Opens and starts the rings.
    pub(crate) fn open(cpus: &[u32], now: KTime) -> Result<Self, StartError> {
        let rings = cpus
            .iter()
            .map(|&cpu| match PerfRing::open(cpu, RING_BYTES) {
                Ok(ring) => Ok((ring, now)),
                Err(source) => Err(StartError::Sideband { cpu, source }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rings })
    }

    /// Hands over each event that is complete now.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Event)) -> Drained {
        let mut drained = Drained::default();
        for (ring, last) in &mut self.rings {
            let outcome = ring.drain(|record| match perf_record::decode(record, *last) {
                Ok((at, said)) => {
                    *last = at;
                    match said {
                        Said::Event(event) => each(event),
                        Said::Forked => drained.forks += 1,
                        Said::Nothing => {}
                    }
                }
                Err(error) => {
                    drained.malformed += 1;
                    tracing::debug!(%error, "sideband record refused");
                }
            });
            drained.malformed += u64::from(outcome.is_err());
        }
        drained
    }
}
