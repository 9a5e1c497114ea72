//! Questions that requests ask.

use profile_store::{
    Filter, Grouping, Kind, Mode, ProcessSet, Query, Rule, Span, Store, TICKS_PER_SECOND, TopBy,
};

use crate::params::{decode, parse};

/// The kind of a question's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Status,
    Tree,
    Top(TopBy),
    Sandwich { function: String, module: Option<String> },
    Timeline,
    Heat,
    Processes,
    Download(Format),
}

/// The format of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Pprof,
    Folded,
    Svg,
    Firefox,
    Html,
}

/// A request's question, before the store's times are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub topic: Topic,
    range: TimeRange,
    baseline: Option<(u64, u64)>,
    filter: Filter,
    grouping: Grouping,
    rules: profile_store::Rules,
}

/// The range of time that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeRange {
    /// All time of which samples are held.
    All,
    /// The last seconds up to the newest.
    Last(u32),
    /// From one instant to another, in Unix milliseconds.
    Between(u64, u64),
}

/// The fault for which a request is refused, as text for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub String);

impl Question {
    /// The question of a request `/api/NAME?QUERY`; `None` if there is no such name.
    pub(crate) fn parse(name: &str, query: &str) -> Option<Result<Self, Refusal>> {
        let topic = match name {
            "status" => Topic::Status,
            "tree" => Topic::Tree,
            "top" => Topic::Top(TopBy::Frame),
            "sandwich" => Topic::Sandwich { function: String::new(), module: None },
            "timeline" => Topic::Timeline,
            "heat" => Topic::Heat,
            "processes" => Topic::Processes,
            "download" => Topic::Download(Format::Pprof),
            _ => return None,
        };
        Some(Self::read(topic, query))
    }

    /// The question of a topic for the last `seconds`.
    pub(crate) fn last(topic: Topic, seconds: u32) -> Self {
        let (filter, grouping, rules) = (Filter::default(), Grouping::None, profile_store::Rules::default());
        Self { topic, range: TimeRange::Last(seconds), baseline: None, filter, grouping, rules }
    }

    fn read(topic: Topic, query: &str) -> Result<Self, Refusal> {
        let pairs = parse(query)
            .ok_or_else(|| Refusal("the part after ? is no encoded text, or too long".to_owned()))?;
        let mut question = Self::last(topic, 0);
        question.range = TimeRange::All;
        let (mut from, mut until, mut base_from, mut base_until) = (None, None, None, None);
        for (key, value) in &pairs {
            match key.as_str() {
                "from" => from = Some(number(key, value)?),
                "until" => until = Some(number(key, value)?),
                "base_from" => base_from = Some(number(key, value)?),
                "base_until" => base_until = Some(number(key, value)?),
                "last" => question.range = TimeRange::Last(number(key, value)?),
                _ => question.set(key, value)?,
            }
        }
        if let (Some(from), Some(until)) = (from, until) {
            question.range = TimeRange::Between(from, until);
        }
        question.baseline = base_from.zip(base_until);
        match &question.topic {
            Topic::Sandwich { function, .. } if function.is_empty() => {
                Err(Refusal("expected function=NAME".to_owned()))
            }
            _ => Ok(question),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        match (key, &mut self.topic) {
            ("exe", _) => self.filter.executable = text,
            ("thread", _) => self.filter.thread = text,
            ("container", _) => self.filter.container = text,
            ("pid", _) => self.filter.process = Some(process(key, value)?),
            ("ancestor", _) => self.filter.ancestor = Some(process(key, value)?),
            ("cpu", _) => self.filter.cpu = Some(number(key, value)?),
            ("mode", _) => {
                self.filter.mode =
                    one_of(key, value, &[("any", Mode::Any), ("user", Mode::User), ("kernel", Mode::Kernel)])?
            }
            ("kind", _) => {
                self.filter.kind = one_of(key, value, &[("cpu", Kind::OnCpu), ("off", Kind::OffCpu)])?
            }
            ("group", _) => self.grouping = one_of(key, value, GROUPINGS)?,
            ("by", _) => self.rules.by_module = one_of(key, value, &[("function", false), ("module", true)])?,
            ("hide", _) => self.rules.hide = rules(key, value)?,
            ("fold", _) => self.rules.fold = rules(key, value)?,
            ("rows", Topic::Top(by)) => match value {
                "function" => *by = TopBy::Frame,
                "module" => (*by, self.rules.by_module) = (TopBy::Frame, true),
                _ => (*by, self.grouping) = (TopBy::Group, one_of(key, value, GROUPINGS)?),
            },
            ("function", Topic::Sandwich { function, .. }) => value.clone_into(function),
            ("module", Topic::Sandwich { module, .. }) => *module = text,
            ("format", Topic::Download(format)) => *format = one_of(key, value, FORMATS)?,
            _ => return Err(Refusal(format!("there is no parameter {key:?} here"))),
        }
        Ok(())
    }

    /// The question as a query of the store in its present state.
    pub(crate) fn query(&self, store: &Store) -> Query {
        let (held, window) = (store.held(), store.window());
        let between = |(from, until): (u64, u64)| {
            let tick = |millis: u64| store.tick(millis.saturating_mul(1_000_000));
            Span { from: tick(from), until: tick(until) }.within(window)
        };
        let span = match self.range {
            TimeRange::All | TimeRange::Last(0) => held,
            TimeRange::Last(seconds) => {
                let from = held.until.saturating_sub(seconds.saturating_mul(TICKS_PER_SECOND));
                Span { from, until: held.until }.within(held)
            }
            TimeRange::Between(from, until) => between((from, until)),
        };
        Query {
            span,
            baseline: self.baseline.map(between),
            filter: self.filter.clone(),
            // A table of groups has its own grouping, and no other topic uses one.
            grouping: if matches!(self.topic, Topic::Tree | Topic::Top(TopBy::Group)) {
                self.grouping
            } else {
                Grouping::None
            },
            rules: self.rules.clone(),
        }
    }
}

const GROUPINGS: &[(&str, Grouping)] = &[
    ("none", Grouping::None),
    ("executable", Grouping::Executable),
    ("process", Grouping::Process),
    ("thread", Grouping::Thread),
    ("container", Grouping::Container),
];

const FORMATS: &[(&str, Format)] = &[
    ("pprof", Format::Pprof),
    ("folded", Format::Folded),
    ("svg", Format::Svg),
    ("firefox", Format::Firefox),
    ("html", Format::Html),
];

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, Refusal> {
    value.parse().or(Err(())).map_err(|()| Refusal(format!("{key} is {value:?}, expected a number")))
}

fn one_of<T: Copy>(key: &str, value: &str, of: &[(&str, T)]) -> Result<T, Refusal> {
    let found = of.iter().find(|(name, _)| *name == value).map(|(_, found)| *found);
    let names = || of.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| Refusal(format!("{key} is {value:?}, expected one of {}", names())))
}

/// `PID` or `PID:START`.
fn process(key: &str, value: &str) -> Result<ProcessSet, Refusal> {
    let (pid, start) = value.split_once(':').map_or((value, None), |(pid, start)| (pid, Some(start)));
    let start = start.map(|start| number(key, start)).transpose()?;
    Ok(ProcessSet { pid: number(key, pid)?, start })
}

/// Reads names of rules with commas between them, each of which is encoded once more.
fn rules(key: &str, value: &str) -> Result<Vec<Rule>, Refusal> {
    let rule = |name: &str| {
        let name = decode(name)?;
        Some(match name.as_str() {
            "kernel" => Rule::Kernel,
            "inlines" => Rule::Inlines,
            "libraries" => Rule::Libraries,
            "runtime" => Rule::Runtime,
            _ => Rule::Text(name.strip_prefix("text:").filter(|text| !text.is_empty())?.to_owned()),
        })
    };
    let names = value.split(',').filter(|name| !name.is_empty());
    let read = names.map(|name| {
        rule(name).ok_or_else(|| {
            Refusal(format!("{key} has {name:?}, expected kernel, inlines, libraries, runtime or text:TEXT"))
        })
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_asked_is_read_and_what_is_wrong_is_named() {
        let read = |name: &str, query: &str| Question::parse(name, query).unwrap();
        let question =
            read("tree", "exe=%2Fbin%2Fa&hide=kernel,text%3Aa%252Cb&pid=7:9&group=thread&last=60").unwrap();
        assert_eq!(question.filter.executable.as_deref(), Some("/bin/a"));
        assert_eq!(question.rules.hide, [Rule::Kernel, Rule::Text("a,b".to_owned())]);
        assert_eq!(question.filter.process, Some(ProcessSet { pid: 7, start: Some(9) }));
        assert_eq!(read("top", "rows=thread").unwrap().topic, Topic::Top(TopBy::Group));
        assert!(Question::parse("secrets", "").is_none());
        for (name, query, fault) in [
            (
                "tree",
                "group=x",
                "group is \"x\", expected one of none, executable, process, thread, container",
            ),
            ("tree", "function=x", "there is no parameter \"function\" here"),
            ("tree", "cpu=-1", "cpu is \"-1\", expected a number"),
            ("sandwich", "", "expected function=NAME"),
            (
                "tree",
                "hide=everything",
                "hide has \"everything\", expected kernel, inlines, libraries, runtime or text:TEXT",
            ),
        ] {
            assert_eq!(read(name, query), Err(Refusal(fault.to_owned())));
        }
    }

    proptest! {
        /// Any request is read or refused.
        #[test]
        fn any_request_is_read_or_refused(name in "tree|top|status|download", query in "([a-z_]{2,8}=[^&]{0,9}&?){0,6}") {
            let _read = Question::parse(&name, &query);
        }
    }
}
