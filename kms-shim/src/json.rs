//! JSON that may hold secrets.

use serde_json::error::Category;

/// What is wrong with a JSON text, without quoting any of it, as serde_json's own message may.
pub(crate) fn problem(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Io => "unreadable",
        Category::Syntax => "malformed JSON",
        Category::Data => "a member is missing, unknown, doubled or of the wrong type",
        Category::Eof => "the JSON ends early",
    }
}
