//! When to look for what a process publishes of itself, and what it was found to have published.

use std::sync::Arc;
use std::time::Duration;

use pdata::{Attribute, ExecCount, KTime};

/// Time after the first sample of an image before anybody looks: most processes live shorter, and none publishes
/// anything at once.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// Time after a look that has found nothing, twice as long each time.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Time after a look that has found something, which may change.
const BETWEEN_CHANGES: Duration = Duration::from_secs(10);

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextFound {
    /// There is none.
    Nothing,
    /// There is the one that was known, or one that is just being written.
    Unchanged,
    /// Something new.
    Published(Published),
}

/// What a process has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// Where, and when by the process's own word: by these a look finds out whether it is another.
    pub(crate) at: (u64, u64),
    pub(crate) attributes: Arc<[Attribute]>,
}

/// The looks at one image.
#[derive(Debug, Default)]
pub(crate) struct ContextWatch {
    image: Option<ExecCount>,
    due: KTime,
    wait: Duration,
    pending: bool,
    known: Option<Published>,
}

impl ContextWatch {
    /// True if somebody is to look at an image that was sampled at this instant.
    pub(crate) fn is_due(&mut self, image: ExecCount, at: KTime) -> bool {
        if self.image != Some(image) {
            let due = at.saturating_add(FIRST_LOOK);
            *self = Self { image: Some(image), due, wait: SHORTEST_WAIT, ..Self::default() };
        }
        !self.pending && at >= self.due
    }

    /// Somebody looks.
    pub(crate) fn asked(&mut self) {
        self.pending = true;
    }

    /// Nobody could be asked to look.
    pub(crate) fn refused(&mut self, at: KTime) {
        self.due = at.saturating_add(self.wait);
    }

    /// Takes what a look at an image has found by this instant; nothing if it could not look. True if that changes what
    /// is known.
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

    /// Where and when what is known of an image was published.
    pub(crate) fn known(&self) -> Option<(u64, u64)> {
        self.known.as_ref().map(|known| known.at)
    }

    /// What an image has published.
    pub(crate) fn attributes(&self, image: ExecCount) -> Option<&Arc<[Attribute]>> {
        self.known.as_ref().filter(|_| self.image == Some(image)).map(|known| &known.attributes)
    }

    /// Bytes that go with it.
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
