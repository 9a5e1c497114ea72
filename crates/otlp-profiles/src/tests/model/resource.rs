//! Resource attributes of an image, inline, since not every reader follows references.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use pdata::{Executable, FileState, Image, ImageKey, ImageKind, Sample, UnixNanos, rfc3339};

use crate::attributes;

/// `service.name` of all kernel threads.
const KERNEL_SERVICE: &str = "[kernel]";

/// The resource of an image.
pub(in crate::tests) fn known(image: &Image) -> Resource {
    let mut list = Attributes::default();
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
    list.finish()
}

/// The resource of an image of which nothing is known beyond its sample.
pub(in crate::tests) fn unresolved(sample: &Sample, created: UnixNanos) -> Resource {
    let mut list = Attributes::default();
    let kernel = sample.running.is_kernel();
    let name = if kernel { format!("[{}]", sample.comm) } else { sample.comm.to_string() };
    list.text(attributes::SERVICE_NAME, if kernel { KERNEL_SERVICE } else { &name });
    list.process(sample.key, created);
    list.text(attributes::PROCESS_EXECUTABLE_NAME, &name);
    list.value(attributes::UNRESOLVED, any_value::Value::BoolValue(true));
    list.finish()
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
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
            self.value(attributes::EXECUTABLE_PATH_TRUNCATED, any_value::Value::BoolValue(true));
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.value(key, any_value::Value::StringValue(text.to_owned()));
    }

    fn int(&mut self, key: &str, number: u32) {
        self.value(key, any_value::Value::IntValue(number.into()));
    }

    fn value(&mut self, key: &str, value: any_value::Value) {
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, key_strindex: 0 });
    }

    fn finish(self) -> Resource {
        Resource { attributes: self.0, ..Resource::default() }
    }
}
