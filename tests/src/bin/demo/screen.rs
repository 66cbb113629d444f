//! How the tour looks.

use console::style;

/// Bytes in a line of each dump.
const WIDTH: usize = 8;

/// Begins a step.
pub fn step(title: &str) {
    println!("\n{}", style(title).bold());
}

/// Something that was found and holds.
pub fn holds(what: &str) {
    println!("  {} {what}", style("✓").green());
}

/// Something to look at.
pub fn shown(name: &str, value: &str) {
    println!("    {name:<24} {value}");
}

/// The beginnings of two byte strings, next to each other.
pub fn side_by_side(left_title: &str, left: &[u8], right_title: &str, right: &[u8], lines: usize) {
    println!("    {left_title:<38}{right_title}");
    for line in 0..lines {
        println!("    {:<38}{}", dump_line(left, line), dump_line(right, line));
    }
}

fn dump_line(bytes: &[u8], line: usize) -> String {
    let bytes = bytes.chunks(WIDTH).nth(line).unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '·' };
    let text: String = bytes.iter().map(printable).collect();
    format!("{hex:<25}{text}")
}
