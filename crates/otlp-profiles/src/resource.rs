//! Resource attributes of an image or of a group, inline, since not every reader follows
//! references.

use ::windows::Group;
use pdata::{
    Attribute, AttributeValue, Executable, Image, ImageKey, ImageKind, Resource, UnixNanos, rfc3339,
};

use crate::attributes;
use crate::dictionary::Value;
use crate::wire::{Writer, bytes_field};

/// Writes the `Resource` of an image, on a host that `host` describes.
pub(crate) fn known(image: &Image, host: &Resource, out: &mut Vec<u8>) {
    let mut list = Attributes::new(host, out);
    let name = image.kind.name();
    list.text(attributes::SERVICE_NAME, &image.service());
    list.process(image.key, image.created);
    list.text(attributes::PROCESS_EXECUTABLE_NAME, &name);
    if let ImageKind::User { executable, script, loader } = &image.kind {
        list.executable(executable);
        if let Some(script) = script {
            list.text(attributes::SCRIPT_PATH, &script.path.to_string_lossy());
            list.text(attributes::SCRIPT_INTERPRETER, &script.interpreter.to_string_lossy());
        }
        if let Some(loader) = loader {
            list.text(attributes::LOADER_PATH, &loader.path.to_string_lossy());
        }
    }
    image.attributes.iter().for_each(|attribute| list.attribute(attribute));
    list.host();
}

/// An image of which nothing is known beyond its first sample.
#[derive(Clone, Debug)]
pub(crate) struct Unresolved {
    /// Identity of the image.
    pub(crate) key: ImageKey,
    /// Start of the image's process.
    pub(crate) created: UnixNanos,
    /// Name of the thread, the only name that is known.
    pub(crate) name: String,
    /// True if the thread ran no program, but kernel code alone.
    pub(crate) kernel: bool,
}

/// Writes the `Resource` of an image of which nothing is known.
pub(crate) fn unresolved(image: &Unresolved, host: &Resource, out: &mut Vec<u8>) {
    let mut list = Attributes::new(host, out);
    list.text(attributes::SERVICE_NAME, if image.kernel { Image::KERNEL_SERVICE } else { &image.name });
    list.process(image.key, image.created);
    list.text(attributes::PROCESS_EXECUTABLE_NAME, &image.name);
    list.value(attributes::UNRESOLVED, Value::Bool(true));
    list.host();
}

/// Writes the `Resource` of several images: the attributes that they have in common.
pub(crate) fn group(group: &Group, host: &Resource, out: &mut Vec<u8>) {
    let mut list = Attributes::new(host, out);
    list.text(attributes::SERVICE_NAME, group.service());
    group.facts().iter().for_each(|fact| list.attribute(fact));
    list.host();
}

/// Writes attributes of a `Resource`, each key once: the first value that is written for a key
/// holds.
struct Attributes<'a> {
    host: &'a Resource,
    out: &'a mut Vec<u8>,
    written: Vec<&'a str>,
}

impl<'a> Attributes<'a> {
    fn new(host: &'a Resource, out: &'a mut Vec<u8>) -> Self {
        Self { host, out, written: Vec::new() }
    }

    fn process(&mut self, key: ImageKey, created: UnixNanos) {
        self.int(attributes::PROCESS_PID, key.process.pid.0);
        self.text(attributes::PROCESS_CREATION_TIME, &rfc3339::format(created));
        self.int(attributes::EXEC_COUNT, key.exec_count.0);
    }

    fn executable(&mut self, executable: &Executable) {
        self.text(attributes::PROCESS_EXECUTABLE_PATH, &executable.path.to_string_lossy());
        if let Some(path) = &executable.own_path {
            self.text(attributes::EXECUTABLE_OWN_PATH, &path.to_string_lossy());
        }
        if let Some(state) = executable.state.as_str() {
            self.text(attributes::EXECUTABLE_STATE, state);
        }
        if executable.truncated {
            self.value(attributes::EXECUTABLE_PATH_TRUNCATED, Value::Bool(true));
        }
    }

    fn text(&mut self, key: &'a str, text: &str) {
        self.value(key, Value::Str(text));
    }

    fn int(&mut self, key: &'a str, number: u32) {
        self.value(key, Value::Int(number.into()));
    }

    /// Writes an attribute of the image, unless the host's value takes its place.
    fn value(&mut self, key: &'a str, value: Value<'_>) {
        if self.host.keeps(key) {
            self.write(key, value);
        }
    }

    fn attribute(&mut self, Attribute { key, value }: &'a Attribute) {
        if self.host.keeps(key) {
            self.write_value(key, value);
        }
    }

    /// Writes the host's attributes, which every resource has.
    fn host(&mut self) {
        for added in &self.host.attributes {
            self.write_value(&added.attribute.key, &added.attribute.value);
        }
    }

    fn write_value(&mut self, key: &'a str, value: &AttributeValue) {
        match value {
            AttributeValue::Text(text) => self.write(key, Value::Str(text)),
            AttributeValue::Int(number) => self.write(key, Value::Int(*number)),
            AttributeValue::Bool(truth) => self.write(key, Value::Bool(*truth)),
            AttributeValue::Texts(texts) => self.write(key, Value::Texts(texts)),
        }
    }

    /// Writes a `KeyValue`, unless there is one of that key.
    fn write(&mut self, key: &'a str, value: Value<'_>) {
        if self.written.contains(&key) {
            return;
        }
        self.written.push(key);
        let mut out = Writer(self.out);
        out.header(1, bytes_field(key.len()) + bytes_field(value.len()));
        out.bytes(1, key.as_bytes());
        out.header(2, value.len());
        value.write(self.out);
    }
}
