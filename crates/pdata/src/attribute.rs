//! Attributes: facts under names, for stages that pass them on without knowing their meaning.

use std::borrow::Cow;
use std::sync::Arc;

/// A fact under the name that exporters give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name, such as `container.id`. `docs/metadata.md` lists those that the agent gives by itself.
    pub key: Cow<'static, str>,
    /// The value under that name.
    pub value: AttributeValue,
}

impl Attribute {
    /// A text under a name that the code knows.
    pub fn text(key: &'static str, text: impl Into<Arc<str>>) -> Self {
        Self { key: Cow::Borrowed(key), value: AttributeValue::Text(text.into()) }
    }

    /// A number under a name that the code knows.
    #[must_use]
    pub const fn int(key: &'static str, number: i64) -> Self {
        Self { key: Cow::Borrowed(key), value: AttributeValue::Int(number) }
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// A text, in UTF-8: a reader of bytes replaces those that are not.
    Text(Arc<str>),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Several texts.
    Texts(Arc<[Arc<str>]>),
}

/// Attributes in sets, which many images share: all processes of a container have one set of its facts. If several sets
/// have a key, the value of the set that was added first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<Arc<[Attribute]>>);

impl Attributes {
    /// Adds a set. An empty set takes no room.
    pub fn add(&mut self, set: Arc<[Attribute]>) {
        if !set.is_empty() {
            self.0.push(set);
        }
    }

    /// The sets, in the order in which they were added.
    pub(crate) fn sets(&self) -> &[Arc<[Attribute]>] {
        &self.0
    }

    /// Every attribute, each key once.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.0.iter().enumerate().flat_map(move |(place, set)| {
            set.iter().filter(move |attribute| !self.is_in_first(place, &attribute.key))
        })
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&AttributeValue> {
        let mut all = self.0.iter().flat_map(|set| set.iter());
        all.find(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// The text of a key; `None` also if its value is no text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(AttributeValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// True if one of the first sets, as many as `sets`, has the key.
    fn is_in_first(&self, sets: usize, key: &str) -> bool {
        self.0.iter().take(sets).any(|set| set.iter().any(|attribute| attribute.key == key))
    }
}

/// The attributes that the agent adds to everything that leaves it: those of its host, and those that users have
/// configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Attributes of every resource.
    pub attributes: Vec<ResourceAttribute>,
    /// Keys that no resource is to have.
    pub deleted: Vec<Box<str>>,
}

/// An attribute of every resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAttribute {
    /// The attribute.
    pub attribute: Attribute,
    /// True if the attribute replaces what a resource has under its key; false if it only fills a gap.
    pub replaces: bool,
}

impl Resource {
    /// True if the attribute of a key leaves as the image has it.
    #[must_use]
    pub fn keeps(&self, key: &str) -> bool {
        let replaced = |added: &ResourceAttribute| added.replaces && added.attribute.key == key;
        !self.attributes.iter().any(replaced) && !self.deleted.iter().any(|deleted| &**deleted == key)
    }

    /// Adds an attribute, in the place of an earlier attribute of its key if `replaces` is true or if there is none.
    pub fn set(&mut self, attribute: Attribute, replaces: bool) {
        self.deleted.retain(|key| **key != *attribute.key);
        match self.attributes.iter_mut().find(|added| added.attribute.key == attribute.key) {
            Some(added) if replaces => *added = ResourceAttribute { attribute, replaces },
            Some(_) => {}
            None => self.attributes.push(ResourceAttribute { attribute, replaces }),
        }
    }

    /// Takes a key out of every resource.
    pub fn delete(&mut self, key: &str) {
        self.attributes.retain(|added| added.attribute.key != key);
        if !self.deleted.iter().any(|deleted| &**deleted == key) {
            self.deleted.push(key.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(attributes: &Attributes) -> Vec<&str> {
        attributes.iter().map(|attribute| &*attribute.key).collect()
    }

    #[test]
    fn a_key_that_two_sets_have_is_there_once_with_the_first_value() {
        let mut attributes = Attributes::default();
        attributes.add([Attribute::text("a", "1"), Attribute::int("b", 2)].into());
        attributes.add([].into());
        attributes.add([Attribute::text("c", "3"), Attribute::text("a", "4")].into());
        assert_eq!(keys(&attributes), ["a", "b", "c"]);
        assert_eq!(
            (attributes.text("a"), attributes.text("b"), attributes.text("d")),
            (Some("1"), None, None)
        );
    }

    #[test]
    fn what_is_set_last_holds_unless_it_only_fills_gaps() {
        let mut resource = Resource::default();
        resource.set(Attribute::text("a", "1"), false);
        resource.set(Attribute::text("a", "2"), false);
        assert_eq!(resource.attributes[0].attribute, Attribute::text("a", "1"));
        assert!(resource.keeps("a"));
        resource.set(Attribute::text("a", "3"), true);
        assert_eq!(resource.attributes.len(), 1);
        assert!(!resource.keeps("a") && resource.keeps("b"));
        resource.delete("a");
        assert!(!resource.keeps("a") && resource.attributes.is_empty());
        resource.set(Attribute::text("a", "4"), false);
        assert!(resource.keeps("a"));
    }
}
