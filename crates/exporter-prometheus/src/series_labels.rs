//! The labels of a series, which show whose CPU time it counts.

use pdata::{Image, ImageKind, Sample, names};

use crate::labels::{Label, NAME, PATH};

/// The labels of a series: names with values, in order. Two series with the same labels are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesLabels(pub(crate) Box<[(&'static str, Box<str>)]>);

impl SeriesLabels {
    /// The labels of the series of all executables without one of their own. There is no path, so that no executable is
    /// named so.
    pub(crate) fn other() -> Self {
        Self(Box::new([(NAME, "other".into())]))
    }

    /// Returns the chosen labels of a sample. A fact that is not known has no label.
    pub(crate) fn of(sample: &Sample, chosen: &[Label]) -> Self {
        let image = sample.image.as_deref();
        let mut labels = Vec::new();
        for label in chosen {
            if *label == Label::Executable {
                executable(sample, &mut labels);
            }
            for &(name, attribute) in label.attributes() {
                // Two facts may have a label in common, as a pod and its deployment have their namespace.
                if !labels.iter().any(|(known, _)| *known == name) {
                    labels.extend(value(attribute, image, sample).map(|value| (name, value)));
                }
            }
        }
        Self(labels.into())
    }
}

/// Adds the labels of the executable. A file that has been replaced or deleted since is still named by its path: an
/// update of a program is no other program. `process_executable_name` is the last part of the path, `[NAME]` for a
/// kernel thread, `NAME (unresolved)` for a thread whose process is not known.
fn executable(sample: &Sample, labels: &mut Vec<(&'static str, Box<str>)>) {
    let Some(Image { kind, .. }) = sample.image.as_deref() else {
        return labels.push((NAME, sample.unresolved_name().into()));
    };
    labels.push((NAME, kind.name().into()));
    if let ImageKind::User { executable, .. } = kind {
        labels.push((PATH, executable.path.to_string_lossy().into()));
    }
}

fn value(attribute: &str, image: Option<&Image>, sample: &Sample) -> Option<Box<str>> {
    if attribute == names::SERVICE_NAME {
        return Some(image.map_or_else(|| sample.unresolved_name().into(), |image| image.service().into()));
    }
    // An empty value is none to Prometheus.
    image?.attributes.text(attribute).filter(|text| !text.is_empty()).map(Into::into)
}
