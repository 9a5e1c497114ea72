//! What perf reports beside samples: every executable mapping of every process, with its build ID.

use pdata::{Event, KTime};

use crate::error::StartError;
use crate::perf_record;
use crate::sys::PerfRing;

/// 512 KiB a CPU: an exec leaves about 1 KiB, so this holds some 500 of them on one CPU between two polls.
const RING_PAGES: usize = 128;

/// One ring a CPU.
#[derive(Debug)]
pub(crate) struct Sideband {
    rings: Vec<(PerfRing, KTime)>,
}

impl Sideband {
    /// Opens and starts the rings.
    pub(crate) fn open(cpus: &[u32], now: KTime) -> Result<Self, StartError> {
        let rings = cpus
            .iter()
            .map(|&cpu| match PerfRing::open(cpu, RING_PAGES) {
                Ok(ring) => Ok((ring, now)),
                Err(source) => Err(StartError::Sideband { cpu, source }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rings })
    }

    /// Hands over each event that is complete now. Returns how many records could not be decoded.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Event)) -> u64 {
        let mut malformed = 0;
        for (ring, last) in &mut self.rings {
            let drained = ring.drain(|record| match perf_record::decode(record, *last) {
                Ok((at, event)) => {
                    *last = at;
                    event.into_iter().for_each(&mut each);
                }
                Err(error) => {
                    malformed += 1;
                    tracing::debug!(%error, "sideband record refused");
                }
            });
            malformed += u64::from(drained.is_err());
        }
        malformed
    }
}
