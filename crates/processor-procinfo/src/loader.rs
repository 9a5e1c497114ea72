//! Programs that were started through the dynamic loader: `ld-linux-x86-64.so.2 ./program`.
//!
//! The kernel runs the loader and knows of no other executable; conda, Nix, Bazel and Steam start much in this way. The
//! program is found in the stacks: its own code called everything else in them.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use pdata::{Backing, Code, Executable, Image, ImageKind, MappedFile, Sample, Stack, StackEnd};

/// True if the file is named like the dynamic loaders of glibc (`ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld64.so.2`),
/// musl (`ld-musl-x86_64.so.1`) and uClibc are.
pub(crate) fn is_loader(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let begins = [&b"ld-"[..], b"ld.", b"ld64."].iter().any(|begin| name.starts_with(begin));
    begins && is_library_name(name)
}

/// Options of loaders that are followed by a value. They come from ld.so(8), and from musl's `ldso/dynlink.c`.
const WITH_VALUE: [&[u8]; 8] = [
    b"--library-path",
    b"--glibc-hwcaps-prepend",
    b"--glibc-hwcaps-mask",
    b"--inhibit-rpath",
    b"--audit",
    b"--preload",
    b"--argv0",
    b"--tunables",
];

/// The arguments that a loader passes on, in the arguments that it was started with, each ended by NUL: the program's
/// path and its own arguments. Empty if the program is not among them.
pub(crate) fn arguments_of_program(arguments: &[u8]) -> &[u8] {
    let mut rest = arguments;
    let mut next = || {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let (argument, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        Some((argument, std::mem::replace(&mut rest, after)))
    };
    let _own_name = next();
    while let Some((argument, with_rest)) = next() {
        match argument {
            b"--" => return next().map_or(&[], |(_, with_rest)| with_rest),
            option if WITH_VALUE.contains(&option) => drop(next()),
            option if option.starts_with(b"--") => {}
            _ => return with_rest,
        }
    }
    &[]
}

/// The image with the program's file as its executable, if it has been known by its loader alone and the stack shows
/// the program.
pub(crate) fn find_program(image: &Image, sample: &Sample) -> Option<Image> {
    let ImageKind::User { executable, script, loader: Some(loader) } = &image.kind else { return None };
    if !Arc::ptr_eq(executable, loader) {
        return None;
    }
    let main_thread = sample.tid.0 == sample.key.process.pid.0;
    let file = program_in(&sample.stack, loader, main_thread)?;
    let program = Executable {
        path: file.path.clone(),
        own_path: file.own_path.clone(),
        state: file.state,
        device: file.identity.device,
        inode: file.identity.inode,
        mount_namespace: loader.mount_namespace,
        truncated: file.truncated,
    };
    let (script, loader) = (script.clone(), Some(Arc::clone(loader)));
    let kind = ImageKind::User { executable: Arc::new(program), script, loader };
    Some(Image { kind, ..image.clone() })
}

/// The file of the outermost frame that is neither the loader's nor a library's.
///
/// The outermost frame of a whole stack of the main thread is the program's `_start`, whatever the file is called.
fn program_in<'a>(stack: &'a Stack, loader: &Executable, main_thread: bool) -> Option<&'a MappedFile> {
    let mut files = stack.frames.iter().rev().filter_map(|frame| match &frame.code {
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) => Some(&**file),
            Backing::Kernel(_) | Backing::Anonymous(_) | Backing::Special(_) => None,
        },
        Code::Kernel | Code::Unknown | Code::Interpreted(..) => None,
    });
    let is_loader =
        |file: &MappedFile| (file.identity.device, file.identity.inode) == (loader.device, loader.inode);
    if main_thread && stack.end == StackEnd::Root {
        // The loader's own `_start` is the root until it jumps to the program's.
        return files.next().filter(|file| !is_loader(file));
    }
    files.find(|file| !is_loader(file) && !is_library(&file.path))
}

fn is_library(path: &Path) -> bool {
    path.file_name().is_some_and(|name| is_library_name(name.as_bytes()))
}

/// True for `NAME.so` and `NAME.so.VERSION`.
fn is_library_name(name: &[u8]) -> bool {
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}

#[cfg(test)]
mod tests {
    use pdata::{FileIdentity, FileOffset, Frame, Mapping, Pc, Tid};
    use proptest::prelude::*;

    use super::*;
    use crate::tests::world::executable;
    use crate::tracker::user;

    const LOADER: &str = "/usr/lib64/ld-linux-x86-64.so.2";

    /// A frame in the file; a loader's file has the identity of `executable`.
    fn frame(path: &str) -> Frame {
        let inode = if path == LOADER { 1 } else { 2 };
        let file = MappedFile {
            identity: FileIdentity { device: 1, inode, ..FileIdentity::default() },
            ..MappedFile::at(Path::new(path))
        };
        let backing = Backing::File(Arc::new(file));
        let mapping = Mapping { start: Pc(0), end: Pc(9), file_offset: FileOffset(0), backing };
        Frame::exact(Pc(1), Code::Mapped(Arc::new(mapping)))
    }

    /// The name that the sample of a process that runs the loader gets. Frames come leaf first.
    fn name(frames: &[&str], end: StackEnd, tid: u32) -> String {
        let kind = user(&executable(LOADER), None);
        let image = Image::new(pdata::ImageKey::default(), pdata::UnixNanos::default(), kind);
        let frames: Vec<Frame> = frames.iter().map(|path| frame(path)).collect();
        let stack = Stack { frames: frames.into(), end };
        let sample = Sample { tid: Tid(tid), stack, ..Sample::default() };
        find_program(&image, &sample).unwrap_or(image).kind.name().into_owned()
    }

    #[test]
    fn loaders_are_known_by_their_names() {
        for path in
            [LOADER, "/lib/ld-2.31.so", "/lib64/ld64.so.2", "/lib/ld-musl-x86_64.so.1", "/lib/ld.so.1"]
        {
            assert!(is_loader(Path::new(path)), "{path}");
        }
        for path in ["/bin/ld", "/bin/ld.bfd", "/usr/lib/libc.so.6", "/bin/ld-wrapper", "/", "/a/ld-x.sox"] {
            assert!(!is_loader(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn the_program_is_what_everything_else_was_called_from() {
        let libc = "/usr/lib/libc.so.6";
        assert_eq!(name(&[libc, "/opt/job", libc, "/opt/job"], StackEnd::Root, 0), "job");
        assert_eq!(name(&["/opt/plugin", "/opt/job"], StackEnd::Pending, 0), "job");
        assert_eq!(name(&["/opt/job", libc], StackEnd::Root, 7), "job", "a thread that the library began");
        assert_eq!(name(&["/opt/server.so"], StackEnd::Root, 0), "server.so", "programs may be named so");
    }

    #[test]
    fn while_the_program_has_not_been_seen_the_loader_is_named() {
        let name = |frames| name(frames, StackEnd::Root, 0);
        assert_eq!(name(&[LOADER]), "ld-linux-x86-64.so.2");
        assert_eq!(
            name(&["/usr/lib/libc.so.6", LOADER]),
            "ld-linux-x86-64.so.2",
            "a constructor of a library"
        );
        assert_eq!(name(&[]), "ld-linux-x86-64.so.2");
    }

    #[test]
    fn what_is_known_is_not_looked_for_again() {
        let kind = user(&executable("/bin/true"), None);
        let image = Image::new(pdata::ImageKey::default(), pdata::UnixNanos::default(), kind);
        let stack = Stack { frames: [frame("/opt/job")].into(), end: StackEnd::Root };
        let sample = Sample { stack, ..Sample::default() };
        assert_eq!(find_program(&image, &sample), None);
        let loaded = Image { kind: user(&executable(LOADER), None), ..image };
        let found = find_program(&loaded, &sample).unwrap();
        let ImageKind::User { loader: Some(loader), .. } = &found.kind else { panic!("{found:?}") };
        assert_eq!(&*loader.path, Path::new(LOADER), "the loader stays known");
        assert_eq!(find_program(&found, &sample), None);
    }

    #[test]
    fn the_programs_arguments_come_after_the_loaders() {
        let of = |arguments: &str| {
            let arguments: String = arguments.split(' ').map(|argument| format!("{argument}\0")).collect();
            String::from_utf8(arguments_of_program(arguments.as_bytes()).to_vec()).unwrap().replace('\0', " ")
        };
        assert_eq!(of("ld.so ./program --x y"), "./program --x y ");
        assert_eq!(of("ld.so --library-path /a --inhibit-cache --argv0 x /b -m c"), "/b -m c ");
        assert_eq!(of("ld-musl --library-path=/a -- --odd c"), "--odd c ");
        assert_eq!(of("ld.so --list"), "");
        assert_eq!(of("ld.so --preload"), "");
        assert_eq!(arguments_of_program(b"ld.so\0/program\0cut sho"), b"/program\0cut sho");
        assert_eq!(arguments_of_program(b"ld.so"), b"");
    }

    proptest! {
        /// Any arguments are read: no panic, and the arguments passed on are the last of those that there were.
        #[test]
        fn any_arguments_are_read(text in "((--|--list|--argv0|[a-z-]{0,3})\0){0,6}", bytes: Vec<u8>) {
            for arguments in [text.as_bytes(), &bytes] {
                prop_assert!(arguments.ends_with(arguments_of_program(arguments)));
            }
        }

        /// Any name is one of a loader or not: no panic.
        #[test]
        fn any_name_is_answered(name in prop::collection::vec(any::<u8>(), 0..12)) {
            let path = Path::new(std::ffi::OsStr::from_bytes(&name));
            let _answer = is_loader(path);
        }
    }
}
