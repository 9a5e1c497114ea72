//! The output of windows, each to the file it belongs to.

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use pdata::UnixNanos;

use crate::backups::{Backups, rename_to_new};
use crate::config::{Config, Fsync};
use crate::format::{Content, Records as Format};
use crate::open::{self, Opened};
use crate::records::Records;
use crate::template::Template;

/// Writes each window to the file it belongs to.
#[derive(Debug)]
pub(crate) struct Output {
    config: Config,
    format: Format,
    template: Template,
    current: Option<Current>,
    /// True if the path has been opened before: the records in it are ours and stay.
    opened: bool,
    /// A buffer that is kept between windows for its memory.
    buffer: Vec<u8>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    opened: Opened,
    records: Records<fs::File>,
    /// Bytes in the file, by our own count.
    length: u64,
    /// True if bytes were written that the disk has not been asked to keep.
    unsynced: bool,
}

impl Output {
    /// Finds out whether the output can be written. The output is opened, and perhaps emptied, for the first window:
    /// the records of the last run are lost only once there is something in their place.
    pub(crate) fn open(config: Config, template: Template) -> io::Result<Self> {
        Self::check(&config, &template)?;
        let format = Format::of(&config);
        Ok(Self { config, format, template, current: None, opened: false, buffer: Vec::new() })
    }

    /// Finds out whether files of their own can be created where they are to be, or the one file can be written.
    pub(crate) fn check(config: &Config, template: &Template) -> io::Result<()> {
        match template {
            Template::Fixed(path) if Format::of(config) != Format::Pprof && path.try_exists()? => {
                open::check(path, config.append || config.rotation.is_some(), Format::of(config))
            }
            template => {
                template.in_known_directory().map_or(Ok(()), |path| open::check_directory(&path, config))
            }
        }
    }

    /// Writes a record whole or not at all.
    pub(crate) fn write(&mut self, content: &Content) -> io::Result<()> {
        let mut buffer = mem::take(&mut self.buffer);
        buffer.clear();
        let result = self.format.write(content, &mut buffer).and_then(|()| {
            if self.format == Format::Pprof {
                self.write_file(content, &buffer)
            } else {
                self.write_record(content, &buffer)
            }
        });
        self.buffer = buffer;
        result
    }

    /// True if bytes were written that the disk is to be asked to keep, and has not been.
    pub(crate) fn wants_sync(&self) -> bool {
        self.config.fsync == Fsync::Interval && self.current.as_ref().is_some_and(|file| file.unsynced)
    }

    /// Asks the disk to keep the written bytes, if the configuration wants that at all.
    ///
    /// A file that the disk does not keep is closed: it may be on a disk that is gone for good, and the next window
    /// opens whatever file its path names by then.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let wanted = self.config.fsync != Fsync::Never;
        let Some(file) = self.current.as_mut().filter(|file| wanted && file.unsynced) else { return Ok(()) };
        match file.opened.sync() {
            Ok(()) => file.unsynced = false,
            Err(error) => {
                self.current = None;
                return Err(error);
            }
        }
        Ok(())
    }

    fn write_record(&mut self, content: &Content, record: &[u8]) -> io::Result<()> {
        let path =
            if self.template.has_time() { self.template.path(content.start()?) } else { self.fixed()? };
        if self.current.as_ref().is_none_or(|file| file.path != path || file.opened.is_replaced(&path)) {
            self.switch_to(path.clone())?;
        }
        self.rotate(content, record.len() as u64)?;
        let Some(file) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        file.records.write(record)?;
        file.length = file.length.saturating_add(record.len() as u64);
        // A pipe cannot be synced.
        file.unsynced = file.opened.is_regular();
        if self.config.fsync == Fsync::Always { self.sync() } else { Ok(()) }
    }

    fn fixed(&self) -> io::Result<PathBuf> {
        match &self.template {
            Template::Fixed(path) => Ok(path.clone()),
            Template::Timed(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Opens another file, or the same file anew.
    fn switch_to(&mut self, path: PathBuf) -> io::Result<()> {
        if let Err(error) = self.sync() {
            // Nothing that could be done for the old file is worth the next window.
            tracing::error!(path = %path.display(), %error, "Cannot put profiles on disk.");
        }
        self.current = None;
        let config = &self.config;
        let keep = config.append || config.rotation.is_some() || self.template.has_time() || self.opened;
        let opened = open::open(&path, keep, self.format, config)?;
        if config.fsync != Fsync::Never && opened.is_regular() {
            open::sync_directory(&path)?;
        }
        self.opened = true;
        let records = Records::new(opened.file.try_clone()?);
        let length = opened.length;
        self.current = Some(Current { path, opened, records, length, unsynced: false });
        Ok(())
    }

    /// Starts a new file if the next record would make this one too large.
    fn rotate(&mut self, content: &Content, next: u64) -> io::Result<()> {
        let (Some(rotation), Some(file)) = (&self.config.rotation, &self.current) else { return Ok(()) };
        let full = file.length > 0 && file.length.saturating_add(next) > rotation.max_bytes();
        if !full || !file.opened.is_regular() {
            return Ok(());
        }
        let (path, at) = (file.path.clone(), content.start()?);
        let backups = Backups::of(&path, rotation.localtime);
        let old = backups.take(&path, at)?;
        tracing::debug!(path = %path.display(), old = %old.display(), "Started a new file.");
        self.prune(&backups, at);
        self.switch_to(path)
    }

    /// Writes a record to a file of its own.
    fn write_file(&mut self, content: &Content, bytes: &[u8]) -> io::Result<()> {
        let at = content.start()?;
        let path = self.template.path(at);
        let part = open::part(&path);
        let sync = self.config.fsync != Fsync::Never;
        open::create_directory(&part, &self.config)?;
        open::write_whole(&part, bytes, sync)?;
        let localtime = self.config.rotation.as_ref().is_some_and(|rotation| rotation.localtime);
        let backups = Backups::of(&path, localtime);
        // A template may be too coarse for one file a window.
        if !(self.template.has_time() && rename_to_new(&part, &path)?) {
            backups.take(&part, at)?;
        }
        if sync {
            open::sync_directory(&path)?;
        }
        self.prune(&backups, at);
        Ok(())
    }

    fn prune(&self, backups: &Backups, now: UnixNanos) {
        let Some(rotation) = &self.config.rotation else { return };
        if let Err(error) = backups.prune(rotation, now) {
            let path: &Path = &self.config.path;
            tracing::warn!(path = %path.display(), %error, "Cannot delete old files of profiles.");
        }
    }
}
