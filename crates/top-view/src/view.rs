//! What is looked at.

use terminal::FunctionId;

use crate::history::History;
use crate::minute::SECONDS;

/// Lengths of the window that figures are of, in seconds.
const WINDOWS: [u64; 4] = [1, 5, 15, SECONDS];
/// Length of the window unless somebody has chosen another, in seconds.
const WINDOW: u64 = 5;
/// Most characters of a filter.
pub(crate) const LONGEST_FILTER: usize = 80;

/// What is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Executables.
    #[default]
    Executables,
    /// Functions.
    Functions,
    /// Processes, below those that forked them.
    Processes,
    /// Calls, each below its caller and as wide as what it takes.
    Icicle,
    /// The agent's own stages and threads.
    Stages,
}

impl Tab {
    /// All, in the order of their keys.
    pub const ALL: [Self; 5] =
        [Self::Executables, Self::Functions, Self::Processes, Self::Icicle, Self::Stages];

    /// The name of the view.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Executables => "executables",
            Self::Functions => "functions",
            Self::Processes => "processes",
            Self::Icicle => "icicle",
            Self::Stages => "stages",
        }
    }
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What took most CPU time itself.
    #[default]
    Own,
    /// What took most with all that it called or forked.
    Total,
    /// By name.
    Name,
}

impl Sort {
    /// All, in the order in which a key goes through them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Total, Self::Name];

    /// The name of the order.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Total => "total",
            Self::Name => "name",
        }
    }
}

/// What covers the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cover {
    #[default]
    Nothing,
    Help,
    Losses,
}

/// A function, or an executable, by its texts: a history numbers its names anew, and a frozen one is another than that
/// which goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionText {
    pub(crate) name: Box<str>,
    module: Box<str>,
}

impl FunctionText {
    pub(crate) fn of(function: FunctionId, history: &History) -> Self {
        let text = |name| history.names.text(name).into();
        Self { name: text(function.name), module: text(function.module) }
    }

    /// Its number in a history; one that nothing has if it is not in there.
    pub(crate) fn id(&self, history: &History) -> FunctionId {
        FunctionId { name: history.names.find(&self.name), module: history.names.find(&self.module) }
    }
}

/// The numbers of a way in a history.
pub(crate) fn ids(way: &[FunctionText], history: &History) -> Vec<FunctionId> {
    way.iter().map(|function| function.id(history)).collect()
}

/// What is looked at.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) tab: Tab,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) is_typing: bool,
    pub(crate) window: u64,
    pub(crate) is_frozen: bool,
    pub(crate) cover: Cover,
    /// The row that is chosen, of the tabs that have rows.
    pub(crate) selected: usize,
    /// The executable that functions are of, if only one is looked at.
    pub(crate) within: Option<FunctionText>,
    /// The way from the root to what the icicle shows, and to the call that is chosen.
    pub(crate) zoom: Vec<FunctionText>,
    pub(crate) chosen: Vec<FunctionText>,
}

impl View {
    /// A view that begins so.
    #[must_use]
    pub fn new(tab: Tab, sort: Sort, filter: &str) -> Self {
        Self {
            tab,
            sort,
            filter: filter.chars().take(LONGEST_FILTER).collect(),
            is_typing: false,
            window: WINDOW,
            is_frozen: false,
            cover: Cover::Nothing,
            selected: 0,
            within: None,
            zoom: Vec::new(),
            chosen: Vec::new(),
        }
    }

    /// True if what is shown is not to change.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// What is listed.
    #[must_use]
    pub fn tab(&self) -> Tab {
        self.tab
    }

    pub(crate) fn sort(&self) -> Sort {
        self.sort
    }

    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    pub(crate) fn is_typing(&self) -> bool {
        self.is_typing
    }

    /// The executable that functions are of, if only one is looked at.
    pub(crate) fn within(&self, history: &History) -> Option<FunctionId> {
        self.within.as_ref().map(|within| within.id(history))
    }

    /// Seconds that figures are of.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// The same view with a window of so many seconds, as far as a minute goes.
    #[must_use]
    pub fn with_window(self, seconds: u64) -> Self {
        Self { window: seconds.clamp(1, SECONDS), ..self }
    }

    /// The window that comes after this one.
    pub(crate) fn next_window(&self) -> u64 {
        let longer = WINDOWS.into_iter().find(|&seconds| seconds > self.window);
        longer.or(WINDOWS.first().copied()).unwrap_or(WINDOW)
    }

    /// True if the filter lets a name through.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.is_empty() || name.to_lowercase().contains(&self.filter.to_lowercase())
    }
}
