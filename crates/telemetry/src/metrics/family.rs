//! Metrics as they are exposed: families of series.

/// All series of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// Name without what the kind adds to it: a counter's has no `_total`, that of information no `_info`.
    pub(crate) name: String,
    /// The family's meaning, in one line.
    pub(crate) help: String,
    pub(crate) kind: Kind,
    /// One for each combination of labels.
    pub(crate) series: Vec<Series>,
}

/// The type of a family's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Grows, from 0 at the start; its name ends in `_total`.
    Counter,
    Gauge,
    Histogram,
    /// No type, as the exposition format has it: a counter whose name has no `_total`.
    Unknown,
    /// Always 1; its labels are the information.
    Info,
}

/// A value and its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: Value,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(u64),
    Float(f64),
    Histogram(Distribution),
}

/// How many values are how large.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    /// Upper bounds in rising order, and how many values are not above them.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// How many there are.
    pub(crate) count: u64,
    /// Of all values.
    pub(crate) sum: f64,
}
