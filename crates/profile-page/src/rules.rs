//! A question's rules applied to the frames of a stack, for downloads, which show the same frames as the page.

use profile_store::{FrameFlags, FrameText, Rules};

/// The treatment of a frame under the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Shown,
    Hidden,
    Folded,
}

/// The frames of a stack that are shown, the outermost first: without hidden frames, and with one frame, named after
/// the module, for folded neighbours.
pub(crate) fn shown<'a>(frames: &[FrameText<'a>], rules: &Rules) -> Vec<FrameText<'a>> {
    let mut shown: Vec<FrameText<'a>> = Vec::with_capacity(frames.len());
    let (mut folded, mut before): (Option<&str>, _) = (None, Fate::Hidden);
    for frame in frames {
        let fate = fate(frame, rules);
        match fate {
            Fate::Hidden => {}
            Fate::Shown => {
                folded = None;
                // A frame whose caller is not shown as itself is not a part of the frame above it.
                let flags = if before == Fate::Shown { frame.flags } else { without_inline(frame.flags) };
                shown.push(FrameText { flags, ..*frame });
            }
            Fate::Folded => {
                let module = module_of(frame);
                if folded.replace(module.name) != Some(module.name) {
                    shown.push(module);
                }
            }
        }
        before = fate;
    }
    shown
}

fn fate(frame: &FrameText<'_>, rules: &Rules) -> Fate {
    if rules.hide.iter().any(|rule| rule.is_for(frame)) {
        Fate::Hidden
    } else if rules.by_module || rules.fold.iter().any(|rule| rule.is_for(frame)) {
        Fate::Folded
    } else {
        Fate::Shown
    }
}

/// A frame that stands for all code of a frame's module.
fn module_of<'a>(frame: &FrameText<'a>) -> FrameText<'a> {
    let name = match frame.module {
        "" => frame.name,
        module => module.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or(module),
    };
    let &FrameText { module, build_id, flags, .. } = frame;
    FrameText { name, module, build_id, flags: without_inline(flags), ..FrameText::default() }
}

fn without_inline(FrameFlags(flags): FrameFlags) -> FrameFlags {
    FrameFlags(flags & !FrameFlags::INLINE.0)
}

#[cfg(test)]
mod tests {
    use profile_store::Rule;
    use proptest::prelude::*;

    use super::*;

    const PROGRAM: FrameText<'static> = FrameText {
        name: "main",
        module: "/bin/app",
        flags: FrameFlags::PROGRAM,
        ..FrameText {
            name: "",
            module: "",
            build_id: "",
            file: "",
            line: 0,
            address: 0,
            flags: FrameFlags::NONE,
        }
    };

    fn frame<'a>(name: &'a str, module: &'a str, flags: FrameFlags) -> FrameText<'a> {
        FrameText { name, module, flags, ..FrameText::default() }
    }

    fn names<'a>(frames: &[FrameText<'a>], rules: &Rules) -> Vec<&'a str> {
        shown(frames, rules).iter().map(|frame| frame.name).collect()
    }

    #[test]
    fn frames_are_hidden_folded_or_shown() {
        let library = |name| frame(name, "/lib/libx.so.1", FrameFlags::NONE);
        let kernel = |name| frame(name, "[kernel]", FrameFlags::KERNEL);
        let inlined = frame("inlined", "/bin/app", FrameFlags::PROGRAM.and(FrameFlags::INLINE));
        let frames =
            [library("start"), PROGRAM, inlined, library("a"), library("b"), kernel("entry"), kernel("read")];
        let hide = |hide: &[Rule]| Rules { hide: hide.to_vec(), ..Rules::default() };
        let fold = |fold: &[Rule]| Rules { fold: fold.to_vec(), ..Rules::default() };
        assert_eq!(
            names(&frames, &Rules::default()),
            ["start", "main", "inlined", "a", "b", "entry", "read"]
        );
        assert_eq!(names(&frames, &hide(&[Rule::Kernel, Rule::Libraries])), ["main", "inlined"]);
        assert_eq!(
            names(&frames, &fold(&[Rule::Libraries])),
            ["libx.so.1", "main", "inlined", "libx.so.1", "entry", "read"]
        );
        assert_eq!(
            names(&frames, &Rules { by_module: true, ..Rules::default() }),
            ["libx.so.1", "app", "libx.so.1", "[kernel]"]
        );
        let alone = shown(&[PROGRAM, inlined], &hide(&[Rule::Text("main".to_owned())]));
        assert!(!alone[0].flags.has(FrameFlags::INLINE), "{alone:?}");
    }

    proptest! {
        /// Each frame is shown at most once, and in its order.
        #[test]
        fn no_frame_is_made_up(kinds in prop::collection::vec(0u8..4, 0..20), hidden in any::<bool>(), by_module in any::<bool>()) {
            let frames: Vec<_> = kinds.iter().map(|kind| match kind {
                0 => PROGRAM,
                1 => frame("read", "[kernel]", FrameFlags::KERNEL),
                2 => frame("a", "/lib/libx.so", FrameFlags::NONE),
                _ => FrameText::TRUNCATED,
            }).collect();
            let hide = if hidden { vec![Rule::Kernel] } else { Vec::new() };
            let rules = Rules { hide, fold: Vec::new(), by_module };
            let found = shown(&frames, &rules);
            prop_assert!(found.len() <= frames.len());
            prop_assert!(!hidden || found.iter().all(|frame| !frame.flags.has(FrameFlags::KERNEL)));
            if !by_module && !hidden {
                prop_assert_eq!(found, frames);
            }
        }
    }
}
