//! The rules, each by name.

use std::fmt;

/// A rule for requests of profiles.
///
/// The rules are taken from the comments of the proto files and the specification (version 1.10), from the checks of
/// `profcheck`, and from the refusals of the known readers. A rule that the specification does not have names the
/// reader that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Lists of resources, scopes, profiles and samples are not empty. Parca refuses empty ones.
    NotEmpty,
    /// `resource`, `scope`, `sampleType` and `periodType` are set. Parca crashes without them.
    MessagePresent,
    /// Each of the seven tables starts with its zero value.
    Sentinel,
    /// Every index points into its table.
    IndexInRange,
    /// No table has an entry twice.
    NoDuplicate,
    /// Every entry of a table but the first is used.
    NoOrphan,
    /// No list of attributes has a key twice.
    UniqueKey,
    /// Every attribute has a key and a value.
    AttributeComplete,
    /// Attributes of resources and scopes are inline: readers do not follow references there yet. The
    /// Collector's receiver does not, though its exporters write them.
    AttributeInline,
    /// A resource has the attributes that name it: `service.name` and `process.executable.name`.
    /// Pyroscope calls the service unknown without.
    AttributeRequired,
    /// Conventional attributes have their conventional type.
    AttributeType,
    /// A mapping starts before it ends, or has no addresses at all.
    MappingOrder,
    /// A mapping has a build ID (`gnu`, `go` or `htlhash`).
    BuildIdPresent,
    /// A mapping has an `htlhash`. Devfiler refuses the request if a mapping has attributes but no `htlhash`. It is
    /// computed by reading the file, so a file that was gone by then is a known limit: see [`KNOWN_LIMITS`].
    HtlhashPresent,
    /// A build ID is in lower-case hex, an `htlhash` of 16 bytes.
    BuildIdFormat,
    /// A function has a name, a system name or a file name.
    FunctionNamed,
    /// Line and column numbers are not negative.
    LineNumber,
    /// Every location names its kind of code by `profile.frame.type`, in a word that every reader knows. Devfiler
    /// refuses the request without it, and for the conventions' own `rust` and `luajit`: such frames must be `native`.
    FrameType,
    /// A location has a mapping or a line. A location without both says nothing.
    LocationKnown,
    /// A sample has a stack, and the stack has frames: their zero values stand for none.
    StackKnown,
    /// Span and trace IDs have their length, and are not zero.
    LinkLength,
    /// Samples of CPU time have times and no values. Devfiler counts others wrongly, and Elastic does not count them.
    /// Samples of time off the CPU have a value beside each time.
    TimesOnly,
    /// Times lie in the profile's window, its end excluded.
    TimeInWindow,
    /// A profile's time is wall-clock time: after 2020, not after the kernel's start.
    WallClock,
    /// No two samples of a profile have the same stack, attributes and link.
    SampleIdentity,
    /// A profile counts `samples` in `count`, for each `cpu` period of some `nanoseconds`; or it measures `off_cpu`
    /// time in `nanoseconds`. Pyroscope names the profile by these types.
    CpuProfile,
    /// Fields that readers disagree on are not set: profile IDs and original payloads.
    FieldUnset,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 27] = [
        Self::NotEmpty,
        Self::MessagePresent,
        Self::Sentinel,
        Self::IndexInRange,
        Self::NoDuplicate,
        Self::NoOrphan,
        Self::UniqueKey,
        Self::AttributeComplete,
        Self::AttributeInline,
        Self::AttributeRequired,
        Self::AttributeType,
        Self::MappingOrder,
        Self::BuildIdPresent,
        Self::HtlhashPresent,
        Self::BuildIdFormat,
        Self::FunctionNamed,
        Self::LineNumber,
        Self::FrameType,
        Self::LocationKnown,
        Self::StackKnown,
        Self::LinkLength,
        Self::TimesOnly,
        Self::TimeInWindow,
        Self::WallClock,
        Self::SampleIdentity,
        Self::CpuProfile,
        Self::FieldUnset,
    ];
}

/// Rules that the agent cannot always keep: an `htlhash` of a file that was gone before it could be read.
pub const KNOWN_LIMITS: [Rule; 1] = [Rule::HtlhashPresent];

/// A rule that is broken in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place: a path of JSON keys and positions.
    pub at: String,
    /// The broken rule.
    pub rule: Rule,
    /// The value at the place.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}: {}", self.at, self.rule, self.found)
    }
}
