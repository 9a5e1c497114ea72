//! The kinds of file systems, and which of them hold files that may be read.

/// File systems that the kernel makes up, by `f_type` of statfs(2): their files are no programs, and reading them may
/// have effects or show what only root may see. Source: uapi/linux/magic.h, and the file system itself where it is not
/// there.
const MADE_UP: [u32; 24] = [
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x0000_0187, // autofs: opening may mount something
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x5a3c_69f0, // apparmorfs
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0x6572_676f, // a pstore of old
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6573_5543, // fusectl
    0x4249_4e4d, // binfmt_misc
    0x0000_1cd1, // devpts
    0x1980_0202, // mqueue
    0x6e73_6673, // nsfs
    0x6759_6969, // rpc_pipefs
    0x6e66_7364, // nfsd
    0x0765_5821, // resctrl
];

/// File systems on this machine's own disks and memory: reading or closing a file of theirs waits for no server. An
/// overlay is none of them, since anything may lie below it.
const LOCAL: [u32; 12] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // zfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x9584_58f6, // hugetlbfs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x0000_9660, // ISO 9660
];

/// True if files of that kind of file system may be handed to the agent.
pub(crate) fn is_local(kind: u32) -> bool {
    LOCAL.contains(&kind)
}

/// True if a file of that kind of file system may be read.
pub(crate) fn is_readable(kind: u32) -> bool {
    !MADE_UP.contains(&kind)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn kind(path: &str) -> Option<u32> {
        let found = rustix::fs::statfs(Path::new(path)).ok()?;
        Some(u32::try_from(found.f_type & 0xffff_ffff).unwrap())
    }

    #[test]
    fn what_the_kernel_makes_up_is_not_read() {
        assert!(!is_readable(kind("/proc/self/stat").unwrap()));
        for path in ["/sys/kernel/notes", "/sys/fs/cgroup/unified", "/dev/pts", "/sys/kernel/tracing/README"]
        {
            // A file system that is not mounted on this machine cannot be checked.
            let kind = kind(path).filter(|_| Path::new(path).exists());
            assert!(kind.is_none_or(|kind| !is_readable(kind) || kind == 0x0102_1994), "{path}: {kind:x?}");
        }
        assert!(is_readable(kind(env!("CARGO_MANIFEST_DIR")).unwrap()));
    }
}
