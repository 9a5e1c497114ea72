//! Who a profile is of: resource attributes, inline, since not every reader follows references.

use pdata::{Executable, FileState, Image, ImageKey, ImageKind, Sample, UnixNanos, rfc3339};

use crate::attributes;
use crate::dictionary::Value;
use crate::wire::{Writer, bytes_field};

/// `service.name` of all kernel threads.
const KERNEL_SERVICE: &str = "[kernel]";

/// Writes the `Resource` of an image.
pub(crate) fn known(image: &Image, out: &mut Vec<u8>) {
    let mut list = Attributes(out);
    let name = image.kind.name();
    let kernel = matches!(image.kind, ImageKind::Kernel(_));
    list.text(attributes::SERVICE_NAME, if kernel { KERNEL_SERVICE } else { &name });
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
}

/// Writes the `Resource` of an image of which nothing is known beyond its sample.
pub(crate) fn unresolved(sample: &Sample, created: UnixNanos, out: &mut Vec<u8>) {
    let mut list = Attributes(out);
    let kernel = sample.running.is_kernel();
    let name = sample.thread_name();
    list.text(attributes::SERVICE_NAME, if kernel { KERNEL_SERVICE } else { &name });
    list.process(sample.key, created);
    list.text(attributes::PROCESS_EXECUTABLE_NAME, &name);
    list.value(attributes::UNRESOLVED, Value::Bool(true));
}

/// Writes attributes of a `Resource`.
struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
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
        match executable.state {
            FileState::Linked => {}
            FileState::Deleted => self.text(attributes::EXECUTABLE_STATE, "deleted"),
            FileState::Memfd => self.text(attributes::EXECUTABLE_STATE, "memfd"),
        }
        if executable.truncated {
            self.value(attributes::EXECUTABLE_PATH_TRUNCATED, Value::Bool(true));
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.value(key, Value::Str(text));
    }

    fn int(&mut self, key: &str, number: u32) {
        self.value(key, Value::Int(number.into()));
    }

    /// A `KeyValue`.
    fn value(&mut self, key: &str, value: Value<'_>) {
        let mut out = Writer(self.0);
        out.header(1, bytes_field(key.len()) + bytes_field(value.len()));
        out.bytes(1, key.as_bytes());
        out.header(2, value.len());
        value.write(self.0);
    }
}
