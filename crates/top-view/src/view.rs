//! The state of what the screen shows.

use terminal::FunctionId;

use crate::history::History;
use crate::minute::SECONDS;

/// Lengths of the window that figures cover, in seconds.
const WINDOWS: [u64; 4] = [1, 5, 15, SECONDS];
/// Length of the window by default, in seconds.
const WINDOW: u64 = 5;
/// Most characters of a filter.
pub(crate) const LONGEST_FILTER: usize = 80;

/// The list that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// The list of executables.
    #[default]
    Executables,
    /// The list of functions.
    Functions,
    /// The tree of processes, each below its parent.
    Processes,
    /// The icicle of calls, each below its caller and as wide as its time.
    Icicle,
    /// The agent's own stages and threads.
    Stages,
}

impl Tab {
    /// All tabs, in the order of their keys.
    pub const ALL: [Self; 5] =
        [Self::Executables, Self::Functions, Self::Processes, Self::Icicle, Self::Stages];

    /// The name of the tab.
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

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The order by own CPU time, most first.
    #[default]
    Own,
    /// The order by total CPU time with all callees or descendants, most first.
    Total,
    /// The order of names.
    Name,
}

impl Sort {
    /// All orders, in the sequence in which a key goes through them.
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

/// The screen that covers the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cover {
    #[default]
    Nothing,
    Help,
    Losses,
}

/// A function or an executable by its texts: its number changes when a history forgets names, and differs between a
/// frozen history and the one that goes on.
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

    /// The function's number in a history; a number that no function has if the history does not have its name.
    pub(crate) fn id(&self, history: &History) -> FunctionId {
        FunctionId { name: history.names.find(&self.name), module: history.names.find(&self.module) }
    }
}

/// The numbers of a path's functions in a history.
pub(crate) fn ids(way: &[FunctionText], history: &History) -> Vec<FunctionId> {
    way.iter().map(|function| function.id(history)).collect()
}

/// The state of what the screen shows: tab, order, filter, window, and selection.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) tab: Tab,
    pub(crate) sort: Sort,
    pub(crate) filter: String,
    pub(crate) is_typing: bool,
    pub(crate) window: u64,
    pub(crate) is_frozen: bool,
    pub(crate) cover: Cover,
    /// The selected row, for tabs that have rows.
    pub(crate) selected: usize,
    /// The executable whose functions are shown; `None` for those of all.
    pub(crate) within: Option<FunctionText>,
    /// The paths from the root to the call that the icicle shows, and to the selected call.
    pub(crate) zoom: Vec<FunctionText>,
    pub(crate) chosen: Vec<FunctionText>,
}

impl View {
    /// A view that begins with this tab, order and filter.
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

    /// True if the screen must not change.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// The tab that is shown.
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

    /// The executable whose functions are shown; `None` for those of all.
    pub(crate) fn within(&self, history: &History) -> Option<FunctionId> {
        self.within.as_ref().map(|within| within.id(history))
    }

    /// Length of the window that figures cover, in seconds.
    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    /// The same view with a window of `seconds`, a minute at most.
    #[must_use]
    pub fn with_window(self, seconds: u64) -> Self {
        Self { window: seconds.clamp(1, SECONDS), ..self }
    }

    /// The next longer window, or the shortest.
    pub(crate) fn next_window(&self) -> u64 {
        let longer = WINDOWS.into_iter().find(|&seconds| seconds > self.window);
        longer.or(WINDOWS.first().copied()).unwrap_or(WINDOW)
    }

    /// True if the filter lets a name through.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filter.is_empty() || name.to_lowercase().contains(&self.filter.to_lowercase())
    }
}
