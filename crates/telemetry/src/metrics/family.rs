//! Metrics in the form in which they are exposed: families of series.

/// All series of one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// Name without the kind's suffix: a counter's has no `_total`, that of information no `_info`.
    pub(crate) name: String,
    /// The family's meaning, in one line.
    pub(crate) help: String,
    pub(crate) kind: Kind,
    /// The series, one for each combination of labels.
    pub(crate) series: Vec<Series>,
}

/// The type of a family's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value that grows, from 0 at the start; its name ends in `_total`.
    Counter,
    Gauge,
    Histogram,
    /// A value of no type in the exposition format: a counter whose name has no `_total`.
    Unknown,
    /// The value 1; its labels are the information.
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

/// Numbers of values by size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    /// Upper bounds in rising order, and the number of values that are not above each.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// Number of all values.
    pub(crate) count: u64,
    /// Sum of all values.
    pub(crate) sum: f64,
}
