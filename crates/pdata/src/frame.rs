//! Stacks: the place where a thread was, and the calls that led there.

use std::sync::Arc;

use crate::{Mapping, Pc};

/// A stack of frames, and why it has no more of them.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    /// Frames, leaf first: the kernel's, if the sample hit it, then the process's own.
    pub frames: Box<[Frame]>,
    /// The reason why the last frame is the last.
    pub end: StackEnd,
}

impl Stack {
    /// A stack of these frames by a source that does not report why it ended.
    #[must_use]
    pub fn new(frames: impl Into<Box<[Frame]>>) -> Self {
        Self { frames: frames.into(), end: StackEnd::NotReported }
    }
}

impl FromIterator<Frame> for Stack {
    fn from_iter<T: IntoIterator<Item = Frame>>(frames: T) -> Self {
        Self::new(frames.into_iter().collect::<Box<[Frame]>>())
    }
}

/// The reason why a stack has no more frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StackEnd {
    /// The source does not report it: `bpf_get_stack` follows frame pointers until one leads nowhere.
    #[default]
    NotReported,
    /// The outermost frame was reached: the stack is whole.
    Root,
    /// The stack has more frames than a sample holds.
    DepthLimit,
    /// No unwind information covers the last frame.
    NoUnwindInfo,
    /// The last frame leads to an address that cannot be a caller's.
    BadFrame,
    /// The memory that holds the caller's frame could not be read.
    Unreadable,
    /// The unwind information of a frame's file had not been read yet: frames above it follow frame pointers, if any.
    Pending,
}

impl StackEnd {
    /// The name of what cut the stack short, for outputs; `None` for a whole stack, and for one whose source does not
    /// report its end.
    #[must_use]
    pub const fn cut(self) -> Option<&'static str> {
        match self {
            Self::NotReported | Self::Root => None,
            Self::DepthLimit => Some("depth_limit"),
            Self::NoUnwindInfo => Some("no_unwind_info"),
            Self::BadFrame => Some("bad_frame"),
            Self::Unreadable => Some("unreadable"),
            Self::Pending => Some("pending"),
        }
    }
}

/// One frame of a stack.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The frame's address, in its process or in the kernel.
    pub pc: Pc,
    /// The kind of instruction whose address `pc` is.
    pub kind: AddressKind,
    /// The code at the address.
    pub code: Code,
    /// The source lines that the address is at; `None` while nothing has named it.
    pub lines: Option<Arc<Lines>>,
}

impl Frame {
    /// A frame whose address was read from registers: a leaf, or one that was interrupted.
    #[must_use]
    pub const fn exact(pc: Pc, code: Code) -> Self {
        Self { pc, kind: AddressKind::Exact, code, lines: None }
    }

    /// A frame whose address is the one that a call returns to.
    #[must_use]
    pub const fn caller(pc: Pc, code: Code) -> Self {
        Self { pc, kind: AddressKind::Return, code, lines: None }
    }

    /// The address to look up: an address inside the instruction that was at work in this frame.
    ///
    /// A return address is that of the instruction after the call, which may belong to another function or another
    /// line; the byte before it is part of the call even if the call is the function's last instruction.
    #[must_use]
    pub fn lookup_pc(&self) -> Pc {
        if self.kind == AddressKind::Exact {
            return self.pc;
        }
        let before = Pc(self.pc.0.saturating_sub(1));
        match &self.code {
            // The first byte of a mapping follows no call in it.
            Code::Mapped(mapping) if before < mapping.start => self.pc,
            _ => before,
        }
    }
}

/// The instruction whose address a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKind {
    /// The instruction at which the CPU was: a leaf, or a frame that an interrupt, a fault, a signal or a system call
    /// has left.
    Exact,
    /// The instruction after a call.
    Return,
}

/// The code that a frame's address is in.
#[derive(Clone, Debug)]
pub enum Code {
    /// Kernel code of which no mapping is known.
    Kernel,
    /// User code of which no mapping is known (yet).
    Unknown,
    /// Code in a mapping.
    Mapped(Arc<Mapping>),
    /// A function that an interpreter runs, and the line of its file that it was at (0 if not known). The frame's
    /// address says nothing.
    Interpreted(Arc<Function>, u32),
}

impl Code {
    /// True for kernel code, whether its mapping is known or not.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        match self {
            Self::Kernel => true,
            Self::Mapped(mapping) => mapping.backing.is_kernel(),
            Self::Unknown | Self::Interpreted(..) => false,
        }
    }
}

/// The source lines that an address is at: one for each function that the code there belongs to.
///
/// The innermost comes first: a function that was inlined, then the function that it was inlined into. Shared by frames
/// at one address; two `Lines` are the same exactly if they are one in memory or equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lines(pub Box<[Line]>);

/// A line of a function's source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The function that the line is part of.
    pub function: Arc<Function>,
    /// The line of the function's file, or 0 if it is not known.
    pub line: u32,
}

/// A function of a program's source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Function {
    /// The function's name as people read it: demangled, with its module or class as the language writes them.
    pub name: Box<str>,
    /// The function's name as the linker has it, if that differs from `name` (a mangled one).
    pub system_name: Option<Box<str>>,
    /// The source file; `None` if it is not known.
    pub file: Option<Box<str>>,
    /// The line of the file at which the function starts, or 0 if it is not known.
    pub start_line: u32,
    /// The runtime that runs the function.
    pub runtime: Runtime,
}

/// The runtime of a program's function: the CPU itself or a virtual machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Runtime {
    /// The CPU itself, or a runtime that is not known.
    #[default]
    Native,
    /// The virtual machine of Erlang.
    Beam,
    /// Python.
    CPython,
    /// .NET.
    DotNet,
    /// A virtual machine of Java.
    Jvm,
    /// PHP.
    Php,
    /// Ruby.
    Ruby,
    /// The engine of Node.js and Chromium.
    V8,
    /// A runtime of WebAssembly.
    Wasm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backing, FileOffset};

    fn mapped(start: u64) -> Code {
        let (start, end) = (Pc(start), Pc(start + 0x1000));
        let backing = Backing::Special("[vdso]".into());
        Code::Mapped(Arc::new(Mapping { start, end, file_offset: FileOffset(0), backing }))
    }

    #[test]
    fn a_return_address_is_looked_up_in_its_call_and_any_other_where_it_is() {
        assert_eq!(Frame::exact(Pc(0x100), Code::Unknown).lookup_pc(), Pc(0x100));
        assert_eq!(Frame::caller(Pc(0x100), Code::Unknown).lookup_pc(), Pc(0xff));
        assert_eq!(Frame::caller(Pc(0), Code::Kernel).lookup_pc(), Pc(0));
        assert_eq!(Frame::caller(Pc(0x5001), mapped(0x5000)).lookup_pc(), Pc(0x5000));
        assert_eq!(Frame::caller(Pc(0x5000), mapped(0x5000)).lookup_pc(), Pc(0x5000), "stays in its mapping");
    }

    #[test]
    fn only_a_stack_that_is_known_to_be_cut_short_has_a_name_for_it() {
        assert_eq!(StackEnd::default().cut(), None);
        assert_eq!(StackEnd::Root.cut(), None);
        assert_eq!(StackEnd::DepthLimit.cut(), Some("depth_limit"));
    }
}
