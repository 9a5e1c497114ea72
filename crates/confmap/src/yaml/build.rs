//! Parser events to a tree.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::node::{Document, Key, MAX_DEPTH, MAX_NODES, Node, Scalar, Yaml, YamlFault};
use super::scalar::plain;

/// Reads the one document of `text`.
pub(crate) fn build(text: &str) -> Result<Document, YamlFault> {
    // A byte order mark is skipped, as in go-yaml; some editors write one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        // The parser reports a text that ends too early behind its last line.
        let (event, span) = event.map_err(|error| {
            fault(error.marker().line().min(last_line(text)), format!("invalid YAML: {}", error.info()))
        })?;
        builder.take(event, span)?;
    }
    let root = builder.root.unwrap_or(Node { line: 1, value: Yaml::Scalar(Scalar::Null) });
    Ok(Document { root, faults: builder.faults })
}

fn last_line(text: &str) -> usize {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.replace("\r\n", "\n").matches(['\n', '\r']).count() + 1
}

fn fault(line: usize, message: impl Into<String>) -> YamlFault {
    YamlFault { line, message: message.into() }
}

/// A list or map that is not complete.
struct Open {
    line: usize,
    anchor: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, lines: BTreeMap<String, usize>, merged: Vec<Node>, key: Option<MapKey> },
}

/// A key whose value is to come.
enum MapKey {
    Plain(Key),
    /// A `<<`.
    Merge,
    /// A key that the map has already: its value is not used.
    Repeated,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    faults: Vec<YamlFault>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlFault> {
        let line = span.start.line();
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fault(line, "expected one YAML document, found another one"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && tag.is_none() && text == "<<";
                let scalar = scalar(&text, style, tag.as_deref()).map_err(|message| fault(line, message))?;
                let node = Node { line, value: Yaml::Scalar(scalar) };
                self.complete(anchor, node, is_merge)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag, "seq", line)?;
                self.start(line, anchor, Inside::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag, "map", line)?;
                let inside = Inside::Map {
                    entries: Vec::new(),
                    lines: BTreeMap::new(),
                    merged: Vec::new(),
                    key: None,
                };
                self.start(line, anchor, inside)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Err(fault(line, "unexpected end")) };
                let value = match open.inside {
                    Inside::List(items) => Yaml::List(items),
                    Inside::Map { mut entries, merged, .. } => {
                        self.merge(&mut entries, merged)?;
                        Yaml::Map(entries)
                    }
                };
                self.complete(open.anchor, Node { line: open.line, value }, false)?;
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id) else {
                    return Err(fault(line, "an alias stands inside the value it refers to"));
                };
                let node = Node { line, ..node.clone() };
                self.count(node.size(), line)?;
                self.complete(0, node, false)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn start(&mut self, line: usize, anchor: usize, inside: Inside) -> Result<(), YamlFault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(fault(line, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open { line, anchor, inside });
        Ok(())
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), YamlFault> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(fault(line, format!("more than {MAX_NODES} values, those of aliases included")));
        }
        Ok(())
    }

    /// Puts a complete node where it belongs.
    fn complete(&mut self, anchor: usize, node: Node, is_merge: bool) -> Result<(), YamlFault> {
        self.count(1, node.line)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Map { entries, lines, merged, key } => match key.take() {
                Some(MapKey::Plain(key)) => entries.push((key, node)),
                Some(MapKey::Merge) => merged.push(node),
                Some(MapKey::Repeated) => {}
                None if is_merge => *key = Some(MapKey::Merge),
                None => {
                    let Yaml::Scalar(scalar) = node.value else {
                        return Err(fault(node.line, "a key must be a string, found a list or a map"));
                    };
                    let text = scalar.to_string();
                    if let Some(first) = lines.get(&text) {
                        let message = format!("mapping key {text:?} already defined at line {first}");
                        self.faults.push(fault(node.line, message));
                        *key = Some(MapKey::Repeated);
                    } else {
                        lines.insert(text.clone(), node.line);
                        *key = Some(MapKey::Plain(Key { line: node.line, text }));
                    }
                }
            },
        }
        Ok(())
    }

    /// Adds the maps that `<<` stands for: keys that the map has itself win, then those of the first map merged.
    fn merge(&mut self, entries: &mut Vec<(Key, Node)>, merged: Vec<Node>) -> Result<(), YamlFault> {
        if merged.is_empty() {
            return Ok(());
        }
        let mut present: BTreeSet<String> = entries.iter().map(|(key, _)| key.text.clone()).collect();
        let maps = merged.into_iter().flat_map(|node| match node.value {
            Yaml::List(items) => items,
            _ => vec![node],
        });
        for map in maps {
            let Yaml::Map(more) = map.value else {
                return Err(fault(map.line, "map merge requires map or sequence of maps as the value"));
            };
            entries.extend(more.into_iter().filter(|(key, _)| present.insert(key.text.clone())));
        }
        Ok(())
    }
}

/// The name of a tag of YAML's own, such as `str`; `None` for another tag.
fn core_name(tag: &Tag) -> Option<&str> {
    tag.is_yaml_core_schema().then_some(tag.suffix.as_str())
}

fn check_tag(tag: Option<Cow<'_, Tag>>, expected: &str, line: usize) -> Result<(), YamlFault> {
    match tag {
        Some(tag) if core_name(&tag) != Some(expected) => Err(fault(line, unknown(&tag))),
        _ => Ok(()),
    }
}

fn unknown(tag: &Tag) -> String {
    match core_name(tag) {
        Some(name) => format!("YAML tag !!{name} is not known here"),
        None => format!("YAML tag {tag} is not known here"),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    let string = || Scalar::String(text.to_owned());
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain { plain(text) } else { string() });
    };
    // `!` alone: not to be interpreted.
    if tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(string());
    }
    let scalar = match core_name(tag) {
        Some("str") => return Ok(string()),
        Some("float") => match plain(text) {
            #[allow(clippy::cast_precision_loss, reason = "a float is what is asked for")]
            Scalar::Unsigned(value) => Scalar::Float(value as f64),
            #[allow(clippy::cast_precision_loss, reason = "a float is what is asked for")]
            Scalar::Signed(value) => Scalar::Float(value as f64),
            other => other,
        },
        _ => plain(text),
    };
    let fits = match core_name(tag) {
        Some("null") => scalar == Scalar::Null,
        Some("bool") => matches!(scalar, Scalar::Bool(_)),
        Some("int") => matches!(scalar, Scalar::Unsigned(_) | Scalar::Signed(_)),
        Some("float") => matches!(scalar, Scalar::Float(_)),
        _ => return Err(unknown(tag)),
    };
    if fits { Ok(scalar) } else { Err(format!("cannot decode {text:?} as a !!{}", tag.suffix)) }
}
