//! Debug files of stripped programs, which only a server has.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use debuginfod::Debuginfod;
use pdata::{Batch, Event, MappedFile, Pc, Uid, Watermark};
use procfs::ProcSource;
use symbolize::{Demangle, Limits, SymbolFile};
use tests::debuginfod::{Answer, DebuginfodServer};
use tests::wait;
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::lines::{expected, offset, own_process, program, run, shown, with_lines};
use super::make::{ENDED, announced, batch, frame, sample};
use crate::files::{FileSettings, Files};
use crate::layer::{Symbolizer, SymbolizerLayer};
use crate::request::Unnamed;
use crate::sight::Sight;

/// A stripped program, the offset of its function `outer`, and its debug file.
struct Stripped {
    dir: tempfile::TempDir,
    path: PathBuf,
    offset: u64,
    build_id: String,
    debug: Vec<u8>,
}

impl Stripped {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path());
        let (offset, debug) = (offset(&path), dir.path().join("program.debug"));
        run(Command::new("objcopy").arg("--only-keep-debug").arg(&path).arg(&debug));
        run(Command::new("strip").arg(&path));
        let debug = std::fs::read(debug).unwrap();
        let tables = SymbolFile::open(debug.as_slice(), Limits::default()).unwrap();
        let build_id =
            tables.outline().build_id().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::remove_file(dir.path().join("program.debug")).unwrap();
        Self { dir, path, offset, build_id, debug }
    }

    fn config(&self, server: &DebuginfodServer) -> debuginfod::Config {
        debuginfod::Config {
            urls: vec![server.url()],
            cache_directory: self.dir.path().join("cache"),
            ..debuginfod::Config::default()
        }
    }

    fn files(&self, server: &DebuginfodServer) -> Files {
        let settings =
            FileSettings { max_bytes: 64 << 20, max_open: 16, demangle: Demangle::Simplified, lines: false };
        let client = Debuginfod::start(&self.config(server)).unwrap();
        Files::new(ProcSource::new("/proc"), settings).fetching_from(Some(client))
    }

    fn name(&self, files: &mut Files, file: &MappedFile) -> Result<String, Unnamed> {
        let sight = Sight { file, process: ENDED, range: (Pc(1), Pc(2)), user: Some(Uid(1)) };
        let names = files.names(sight, &[self.offset])?;
        names[0].1.clone().map(|lines| lines.0[0].function.name.to_string())
    }
}

/// Waits until the names of held files have changed.
fn wait_for_change(files: &mut Files) {
    let changed = wait::until("a change", || files.take_fetched(Instant::now()), |files| !files.is_empty());
    assert_eq!(changed.len(), 1);
}

#[test]
fn a_frame_is_late_until_the_debug_file_is_there_and_has_its_name_afterwards() {
    let (server, program) = (DebuginfodServer::start(), Stripped::new());
    server.answer(&program.build_id, Answer::File(program.debug.clone()));
    let (mut files, file) = (program.files(&server), announced(&program.path));
    assert_eq!(program.name(&mut files, &file), Err(Unnamed::Late));
    assert!(files.awaits_debug_files());
    wait_for_change(&mut files);
    assert_eq!(program.name(&mut files, &file), Ok("outer".to_owned()));
    assert!(!files.awaits_debug_files());
    // Another agent, after a restart, has the file at once.
    let mut again = program.files(&server);
    assert_eq!(program.name(&mut again, &file), Ok("outer".to_owned()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_frame_whose_debug_file_no_server_has_is_late_and_then_stripped() {
    let (server, program) = (DebuginfodServer::start(), Stripped::new());
    let (mut files, file) = (program.files(&server), announced(&program.path));
    assert_eq!(program.name(&mut files, &file), Err(Unnamed::Late));
    wait_for_change(&mut files);
    assert_eq!(program.name(&mut files, &file), Err(Unnamed::Stripped));
    assert!(!files.awaits_debug_files());
}

#[test]
fn a_debug_file_of_another_program_names_nothing() {
    let (server, program, other) = (DebuginfodServer::start(), Stripped::new(), Stripped::new());
    // The path of the source, which is in the file, is another.
    assert_ne!(program.build_id, other.build_id);
    server.answer(&program.build_id, Answer::File(other.debug));
    let (mut files, file) = (program.files(&server), announced(&program.path));
    assert_eq!(program.name(&mut files, &file), Err(Unnamed::Late));
    wait_for_change(&mut files);
    assert_eq!(program.name(&mut files, &file), Err(Unnamed::Stripped));
}

/// A stage, and the batches that have left it.
struct Stage {
    stage: Symbolizer,
    left: Arc<Mutex<Vec<Batch>>>,
    at: u64,
}

impl Stage {
    /// The lines with which a frame leaves; `None` if it leaves without a name.
    async fn lines(&mut self, file: &Arc<MappedFile>, offset: u64) -> Option<Arc<pdata::Lines>> {
        self.at += 10;
        let mut event = sample(self.at, vec![frame(file, offset)]);
        if let Event::Sample(sample) = &mut event {
            sample.key.process = own_process();
        }
        self.stage.ready().await.unwrap().call(batch(vec![event], self.at + 1)).await.unwrap();
        loop {
            if let Some(batch) = self.left.lock().unwrap().pop() {
                return batch.samples().next().unwrap().stack.frames[0].lines.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A batch never waits for a server. Once the debug file is there, frames have what debug information has of them,
/// though the stage had answered before that they have no names.
#[tokio::test]
async fn frames_have_names_and_lines_once_the_debug_file_is_there() {
    let (server, program) = (DebuginfodServer::start(), Stripped::new());
    server.answer(&program.build_id, Answer::Wait);
    let config = crate::Config { debuginfod: Some(program.config(&server)), ..with_lines() };
    let left = Arc::<Mutex<Vec<Batch>>>::default();
    let keep = Arc::clone(&left);
    let inner = tower::service_fn(move |batch: Batch| {
        let watermark = batch.watermark;
        keep.lock().unwrap().push(batch);
        std::future::ready(Ok::<Watermark, std::convert::Infallible>(watermark))
    });
    let layer = SymbolizerLayer::new(&config).fetches_debug_files().unwrap();
    let mut stage = Stage { stage: layer.layer(inner), left, at: 0 };
    let file = Arc::new(announced(&program.path));
    // The batch may wait for two minutes, and the server sends nothing.
    assert!(stage.lines(&file, program.offset).await.is_none());
    wait::until("the request", || server.requests().len(), |requests| *requests == 1);
    server.answer(&program.build_id, Answer::Chunked(program.debug.clone()));
    let until = Instant::now() + Duration::from_secs(300);
    let lines = loop {
        if let Some(lines) = stage.lines(&file, program.offset).await {
            break lines;
        }
        assert!(Instant::now() < until, "{:?}", server.requests());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(shown(&lines), expected());
}
