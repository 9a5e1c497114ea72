//! Programs of `ebpf/tests`.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// A program that has been built.
pub(crate) struct Program {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Program {
    /// Builds a program of `ebpf/tests`.
    pub(crate) fn build(name: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ebpf/tests");
        let folder = tempfile::tempdir().expect("there is room for a program");
        let path = folder.path().join(name);
        let compiler = env::var("CC").unwrap_or_else(|_unset| "cc".to_owned());
        let mut compile = Command::new(&compiler);
        compile.args(["-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-Wall", "-Werror"]);
        // A page of the kernel's may be read at any offset; some of what the headers define is for other programs.
        compile.args(["-fno-sanitize=alignment", "-Wno-unused", "-Wno-unknown-pragmas", "-Istubs", "-o"]);
        let output = compile
            .arg(&path)
            .arg(format!("{name}.c"))
            .current_dir(source)
            .output()
            .expect("the command starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { path, _folder: folder }
    }

    /// Gives the program its input, and returns its output.
    pub(crate) fn run(&self, input: &[u8]) -> Vec<u8> {
        // Memory that a test allocates is freed with its process.
        let mut command = Command::new(&self.path);
        command.env("ASAN_OPTIONS", "detect_leaks=0").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdin = child.stdin.take().expect("the input is a pipe");
        let output = thread::scope(|scope| {
            // By a thread of its own: the program writes while it reads. If it ends early, its exit code says so.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().expect("the program ends")
        });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}
