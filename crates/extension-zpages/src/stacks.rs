//! The page about stacks: how whole they are, and how many of their frames have names, program by program.

use stack_quality::{End, ProgramQuality, Quality};

use crate::html::{Cell, Page};

/// Programs that are shown of each pipeline at most, beside all others together.
const SHOWN: usize = 50;

/// The programs of each pipeline, most stacks first.
pub(crate) fn stackz(pipelines: &[(String, Vec<ProgramQuality>)]) -> String {
    let mut page = Page::new("Stacks");
    page.paragraph(
        &"User stacks since these pages are served, by what ended them. \
          A stack is whole if it reaches the program's outermost frame.",
    );
    if pipelines.is_empty() {
        page.paragraph(&"No pipeline runs.");
    }
    for (pipeline, programs) in pipelines {
        page.heading(pipeline);
        let ends = End::ALL.map(|end| match end {
            End::Whole => "whole",
            End::FramePointers => "by frame pointers",
            End::Cut(reason) => reason,
        });
        page.table(&[&["program", "stacks"], &ends[..], &["frames", "named"]].concat());
        let (known, others): (Vec<_>, Vec<_>) =
            programs.iter().partition(|program| program.program.is_some());
        for program in known.iter().take(SHOWN).chain(&others) {
            page.row(&row(program));
        }
        page.end_table();
        if let Some(more) = known.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            page.paragraph(&format!("{more} more programs have fewer stacks."));
        }
    }
    page.finish()
}

fn row(ProgramQuality { program, quality }: &ProgramQuality) -> Vec<Cell> {
    let Quality { frames, named, .. } = *quality;
    let program = program.as_ref().map_or("(other programs)".into(), |path| path.to_string_lossy());
    let stacks = quality.stacks();
    let mut cells = vec![Cell::Text(program.into_owned()), Cell::Number(stacks.to_string())];
    cells.extend(End::ALL.map(|end| Cell::Number(share(quality.ended(end), stacks))));
    cells.extend([Cell::Number(frames.to_string()), Cell::Number(share(named, frames))]);
    cells
}

/// A part of a whole, in per cent.
fn share(part: u64, whole: u64) -> String {
    if part == 0 {
        return "-".to_owned();
    }
    // Rounded down, so that 100 % means all.
    let per_mille = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str, ends: [u64; End::ALL.len()]) -> ProgramQuality {
        let quality = Quality { ends, frames: 3000, named: 2999 };
        ProgramQuality { program: Some(std::path::Path::new(path).into()), quality }
    }

    #[test]
    fn each_program_has_the_shares_of_its_ends() {
        let programs = vec![program("/bin/<a>", [998, 0, 0, 1, 0, 0, 1]), program("/bin/b", [1; 7])];
        let page = stackz(&[("profiles".to_owned(), programs)]);
        let shown = ["/bin/&lt;a&gt;", "1000", "99.8 %", "0.1 %", "3000", "99.9 %", "14.2 %"];
        assert!(shown.iter().all(|text| page.contains(&format!(">{text}</td>"))), "{page}");
        assert!(page.contains("<th>no_unwind_info</th>") && !page.contains("more programs"), "{page}");
        let mut many = vec![program("/bin/a", [1; 7]); SHOWN + 2];
        many.push(ProgramQuality { program: None, ..program("", [2; 7]) });
        let page = stackz(&[("p".to_owned(), many)]);
        assert!(page.contains("2 more programs") && page.contains(">(other programs)</td>"), "{page}");
        assert!(stackz(&[]).contains("No pipeline runs."));
    }

    #[test]
    fn only_all_is_100_per_cent() {
        assert_eq!([share(0, 0), share(99_999, 100_000), share(7, 7)], ["-", "99.9 %", "100.0 %"]);
    }
}
