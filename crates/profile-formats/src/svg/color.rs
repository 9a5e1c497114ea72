//! Colours of frames.

use crate::model::FrameKind;

/// The colour of a frame: its name chooses one of the colours of its kind of code.
pub(super) fn of_frame(name: &str, kind: FrameKind) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let spread = hash % 40;
    let (hue, lightness) = match kind {
        FrameKind::User => (15 + spread, 62 + hash / 64 % 10),
        FrameKind::Kernel => (200 + spread / 2, 64 + hash / 64 % 10),
        FrameKind::Interpreted => (95 + spread, 60 + hash / 64 % 10),
    };
    format!("hsl({hue},78%,{lightness}%)")
}

/// The colour of a change of a share: red if the share has grown, blue if it has shrunk, stronger for a larger change.
pub(super) fn of_change(change: f64) -> String {
    // The square root makes small changes visible.
    let strength = (change.abs() * 4.0).sqrt().min(1.0);
    let faded = 235.0 - 165.0 * strength;
    if change.abs() < 0.000_5 {
        "rgb(235,235,235)".to_owned()
    } else if change > 0.0 {
        format!("rgb(255,{faded:.0},{faded:.0})")
    } else {
        format!("rgb({faded:.0},{faded:.0},255)")
    }
}
