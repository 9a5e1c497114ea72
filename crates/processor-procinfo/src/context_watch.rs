//! Times at which a process is searched for the context that it publishes of itself, and the context that was found.

use std::sync::Arc;
use std::time::Duration;

use pdata::{Attribute, ExecCount, KTime};

/// Time after the first sample of an image before its process is searched: most processes live shorter, and none
/// publishes a context at once.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// Time after a search that has found nothing, and its bound. The time doubles with each search.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Time after a search that has found a context, which may change.
const BETWEEN_CHANGES: Duration = Duration::from_secs(10);

/// The result of a search for a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextFound {
    /// The process has published no context.
    Nothing,
    /// The process has the context that was known, or is just writing one.
    Unchanged,
    /// The process has published a new context.
    Published(Published),
}

/// A context that a process has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// Address of the context, and its time of publication by the process's own word: by these a search distinguishes
    /// it from another.
    pub(crate) at: (u64, u64),
    pub(crate) attributes: Arc<[Attribute]>,
}

/// The searches for the context of one image.
#[derive(Debug, Default)]
pub(crate) struct ContextWatch {
    image: Option<ExecCount>,
    due: KTime,
    wait: Duration,
    pending: bool,
    known: Option<Published>,
}

impl ContextWatch {
    /// True if an image that was sampled at this instant is to be searched for a context.
    pub(crate) fn is_due(&mut self, image: ExecCount, at: KTime) -> bool {
        if self.image != Some(image) {
            let due = at.saturating_add(FIRST_LOOK);
            *self = Self { image: Some(image), due, wait: SHORTEST_WAIT, ..Self::default() };
        }
        !self.pending && at >= self.due
    }

    /// Notes that a search is under way.
    pub(crate) fn asked(&mut self) {
        self.pending = true;
    }

    /// Notes that the thread took no request for a search.
    pub(crate) fn refused(&mut self, at: KTime) {
        self.due = at.saturating_add(self.wait);
    }

    /// Takes the result of a search by this instant; `None` if the process could not be searched. True if that changes
    /// the attributes.
    pub(crate) fn found(&mut self, image: ExecCount, by: KTime, found: Option<ContextFound>) -> bool {
        if self.image != Some(image) {
            return false;
        }
        self.pending = false;
        let before = self.known.as_ref().map(|known| Arc::clone(&known.attributes));
        match found {
            Some(ContextFound::Published(published)) => self.known = Some(published),
            Some(ContextFound::Nothing) => self.known = None,
            Some(ContextFound::Unchanged) | None => {}
        }
        self.due = by.saturating_add(if self.known.is_some() { BETWEEN_CHANGES } else { self.wait });
        self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        before != self.known.as_ref().map(|known| Arc::clone(&known.attributes))
    }

    /// Address and time of the known context.
    pub(crate) fn known(&self) -> Option<(u64, u64)> {
        self.known.as_ref().map(|known| known.at)
    }

    /// Attributes of the context that an image has published.
    pub(crate) fn attributes(&self, image: ExecCount) -> Option<&Arc<[Attribute]>> {
        self.known.as_ref().filter(|_| self.image == Some(image)).map(|known| &known.attributes)
    }

    /// Bytes of the context's attributes.
    pub(crate) fn footprint(&self) -> usize {
        let attributes = self.known.as_ref().map_or(&[][..], |known| &known.attributes);
        attributes.iter().map(pdata::Attribute::footprint).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ExecCount = ExecCount(3);

    fn seconds(seconds: f64) -> KTime {
        KTime::from_nanos(Duration::from_secs_f64(seconds).as_nanos().try_into().unwrap())
    }

    fn published(name: &str, at: u64) -> Option<ContextFound> {
        let attributes = [Attribute::text("service.name", name)].into();
        Some(ContextFound::Published(Published { at: (4096, at), attributes }))
    }

    #[test]
    fn looks_become_rarer_while_nothing_is_found() {
        let mut watch = ContextWatch::default();
        let mut looks = Vec::new();
        for tenth in 0..2000 {
            let now = f64::from(tenth) / 10.0;
            if watch.is_due(IMAGE, seconds(now)) {
                watch.asked();
                assert!(!watch.is_due(IMAGE, seconds(now)), "one at a time");
                assert!(!watch.found(IMAGE, seconds(now), Some(ContextFound::Nothing)));
                looks.push(now);
            }
        }
        assert_eq!(looks, [0.3, 0.8, 1.8, 3.8, 7.8, 15.8, 31.8, 63.8, 123.8, 183.8]);
    }

    #[test]
    fn what_is_found_is_known_until_it_changes_or_the_image_does() {
        let mut watch = ContextWatch::default();
        let name = |watch: &ContextWatch, image| {
            watch.attributes(image).map(|known| format!("{:?}", known[0].value))
        };
        assert!(!watch.is_due(IMAGE, seconds(0.0)));
        assert!(watch.found(IMAGE, seconds(1.0), published("a", 1)));
        assert!(!watch.is_due(IMAGE, seconds(10.9)) && watch.is_due(IMAGE, seconds(11.0)));
        assert!(!watch.found(IMAGE, seconds(11.0), Some(ContextFound::Unchanged)));
        assert!(!watch.found(IMAGE, seconds(12.0), None), "it could not be read");
        assert!(watch.found(IMAGE, seconds(13.0), published("b", 2)));
        assert_eq!((name(&watch, IMAGE).as_deref(), watch.known()), (Some("Text(\"b\")"), Some((4096, 2))));
        assert!(watch.footprint() > 0);
        assert_eq!(name(&watch, ExecCount(4)), None);
        assert!(!watch.is_due(ExecCount(4), seconds(14.0)));
        assert!(!watch.found(IMAGE, seconds(15.0), published("late", 3)), "of the image before");
        assert_eq!((name(&watch, ExecCount(4)), watch.known(), watch.footprint()), (None, None, 0));
        watch.refused(seconds(14.0));
        assert!(!watch.is_due(ExecCount(4), seconds(14.4)) && watch.is_due(ExecCount(4), seconds(14.5)));
    }
}
