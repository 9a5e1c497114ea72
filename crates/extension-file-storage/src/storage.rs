//! The extension that keeps exporters' queues on disk.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::client::Client;
use crate::config::Config;
use crate::directory::Directory;
use crate::error::OpenError;
use crate::inbox::Inbox;
use crate::stored::Stored;
use crate::worker::Worker;

/// A directory with a file for each exporter that keeps its queue there.
#[derive(Debug)]
pub struct FileStorage {
    directory: Arc<Directory>,
    config: Config,
}

impl FileStorage {
    /// Finds or makes the directory, and locks it: no other agent may use it meanwhile. A second storage of the same
    /// process may, so that one configuration can replace another.
    ///
    /// # Errors
    /// [`OpenError`] names the remedy if the directory cannot be used.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        if let Some(fault) = config.validate().into_iter().next() {
            return Err(OpenError::Config(fault));
        }
        Ok(Self { directory: Directory::open(&config)?, config })
    }

    /// Looks for reasons for which [`open`](Self::open) would fail. Nothing is changed.
    ///
    /// # Errors
    /// The reason for which `open` would fail.
    pub fn check(config: &Config) -> io::Result<()> {
        let directory = &config.directory;
        match openfile::can_create_in(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && config.create_directory => Ok(()),
            result => result.and_then(|()| openfile::guard(directory)),
        }
    }

    /// The client of the exporter with this id; `recovered` receives the requests that an earlier one has left. If that
    /// one is still at work, the new one's requests wait until its file is free.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    pub fn client(
        &self,
        exporter: &str,
        recovered: impl FnOnce(Vec<Stored>) + Send + 'static,
    ) -> io::Result<Client> {
        let inbox = Arc::new(Inbox::default());
        let clock = self.directory.clock();
        let client = Client::new(inbox.clone(), clock);
        let (directory, config, exporter) =
            (self.directory.clone(), self.config.clone(), exporter.to_owned());
        thread::Builder::new().name("file-storage".to_owned()).spawn(move || {
            let file = directory.take(&file_name(&exporter));
            drop(directory);
            Worker::new(inbox, file, &config, &exporter, clock, Box::new(recovered)).run();
        })?;
        Ok(client)
    }
}

/// A file name that people recognise as the exporter's and that no other exporter gets.
fn file_name(exporter: &str) -> String {
    let mut name = "exporter_".to_owned();
    for byte in exporter.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name + ".redb"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_exporter_and_no_two_have_the_same() {
        assert_eq!(file_name("otlp_grpc/backup"), "exporter_otlp_grpc%2fbackup.redb");
        assert_ne!(file_name("a/b"), file_name("a%2fb"));
    }
}
