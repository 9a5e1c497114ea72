//! Lists of mounts, from `/proc/PID/mountinfo` (proc_pid_mountinfo(5)): reading them asks no file system.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Bytes of the list that are read at most. A machine full of containers has some thousands of mounts, with a line of
/// some hundred bytes for each; a user who can mount can make as many as they like.
const MAX_LIST: u64 = 8 << 20;

/// A mount that a process sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount's number, as [`Found::mount`](crate::Found::mount).
    pub id: u64,
    /// Device of the file system as the kernel has it (`s_dev`), major and minor: for a subvolume, another device than
    /// stat(2) shows. An overlay has one of its own, which mapped files of its layers do not have.
    pub device: (u32, u32),
    /// The path at which the process sees the mount.
    pub point: PathBuf,
    /// Name of the kind of file system, such as `ext4` or `fuse.sshfs`.
    pub kind: String,
}

/// The mounts that a process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// The mounts of the process whose directory in `/proc` is `process`.
    ///
    /// # Errors
    /// Any error of reading.
    pub fn of(process: &Path) -> io::Result<Self> {
        let mut list = Vec::new();
        File::open(process.join("mountinfo"))?.take(MAX_LIST).read_to_end(&mut list)?;
        Ok(Self::parse(&list))
    }

    /// The mounts in the text of that file; a malformed line adds none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self(text.split(|&byte| byte == b'\n').filter_map(line).collect())
    }

    /// The mount of that number.
    #[must_use]
    pub fn by_id(&self, id: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.id == id)
    }

    /// A mount of that file system.
    #[must_use]
    pub fn by_device(&self, device: (u32, u32)) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.device == device)
    }

    /// The mount that holds a path without links.
    #[must_use]
    pub fn by_path(&self, path: &Path) -> Option<&Mount> {
        // Of several mounts at one place the last is the one on top.
        let holding = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        holding.max_by_key(|mount| mount.point.components().count())
    }
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let (major, minor) = std::str::from_utf8(fields.nth(1)?).ok()?.split_once(':')?;
    let point = PathBuf::from(unescaped(fields.nth(1)?));
    // The kind comes after any number of optional fields.
    let kind = fields.skip_while(|field| field != b"-").nth(1)?;
    let kind = String::from_utf8_lossy(unescaped(kind).as_bytes()).into_owned();
    Some(Mount { id, device: (major.parse().ok()?, minor.parse().ok()?), point, kind })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Undoes the escapes of blanks, line ends and backslashes: `\` and three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let mut text = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        text.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of Linux 6.18.
    const TEXT: &[u8] = br"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /srv/with\040blank rw,nosuid - fuse.sshfs host:/ rw,user_id=0
31 22 0:27 / /srv rw,relatime shared:7 master:2 - overlay overlay rw,lowerdir=/a
not a line
";

    #[test]
    fn a_mount_is_found_by_number_device_and_path() {
        let mounts = Mounts::parse(TEXT);
        let fuse = mounts.by_id(30).unwrap();
        assert_eq!(
            (fuse.device, &*fuse.point, &*fuse.kind),
            ((0, 26), Path::new("/srv/with blank"), "fuse.sshfs")
        );
        assert_eq!(mounts.by_device((0, 27)).unwrap().kind, "overlay");
        for (path, id) in [("/srv/with blank/a", 30), ("/srv/with", 31), ("/srvx", 22), ("/", 22)] {
            assert_eq!(mounts.by_path(Path::new(path)).unwrap().id, id, "{path}");
        }
        assert_eq!((mounts.by_id(1), mounts.by_device((9, 9))), (None, None));
    }

    #[test]
    fn the_machines_own_are_read() {
        let mounts = Mounts::of(Path::new("/proc/self")).unwrap();
        assert!(mounts.by_path(Path::new("/proc/self/stat")).is_some_and(|mount| mount.kind == "proc"));
    }

    proptest! {
        /// Any text has mounts or none.
        #[test]
        fn no_text_panics(text in "([0-9]{0,3} |/|[:\\\\ -]|[a-z]){0,60}\n?") {
            let _ = Mounts::parse(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_unescaped(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(unescaped(&bytes).len() <= bytes.len());
        }
    }
}
