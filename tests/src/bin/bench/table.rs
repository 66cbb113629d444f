//! Tables in Markdown.

use std::time::Duration;

/// A table with a sentence before it.
pub struct Table(String);

impl Table {
    pub fn new(caption: &str, columns: &[&str]) -> Self {
        let line = columns.iter().map(|_| "---").collect::<Vec<_>>().join(" | ");
        Self(format!("{caption}\n\n| {} |\n| {line} |\n", columns.join(" | ")))
    }

    pub fn row(&mut self, cells: &[String]) {
        self.0.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub fn end(self) -> String {
        self.0
    }
}

/// Megabytes (10⁶ bytes) a second.
pub fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

pub fn milliseconds(took: Duration) -> String {
    format!("{:.2}", took.as_secs_f64() * 1e3)
}
