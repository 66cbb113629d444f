//! README.md's table of clients.

use super::suite::{Client, OPERATIONS, Report};

const BEGIN: &str = "<!-- Made by the tests: S3EP_UPDATE_README=1 cargo test -p e2e clients -->\n";
const END: &str = "<!-- The end of what the tests made -->\n";

/// The README with the table as the clients reported. The row of a client that is not there stays as it is.
pub fn updated(readme: &str, clients: &[Client]) -> String {
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the table's beginning");
    let (table, after) = rest.split_once(END).expect("README.md has the table's end");
    let rows: String = clients.iter().filter_map(|client| row_of(client, table)).collect();
    format!("{before}{BEGIN}{}{rows}{END}{after}", heading())
}

fn heading() -> String {
    let columns = ["client", "version"].into_iter().chain(OPERATIONS);
    let names: Vec<&str> = columns.collect();
    line(&names) + &line(&vec!["---"; names.len()])
}

fn row_of(client: &Client, table: &str) -> Option<String> {
    match client.report() {
        Some(report) => Some(row(client.title, report)),
        None => {
            table.lines().find(|row| row.starts_with(&format!("| {} |", client.title))).map(|row| format!("{row}\n"))
        }
    }
}

fn row(title: &str, report: &Report) -> String {
    let cell = |operation: &str| if report.operations.iter().any(|did| did == operation) { "✓" } else { "–" };
    let cells: Vec<&str> = [title, &report.version].into_iter().chain(OPERATIONS.map(cell)).collect();
    line(&cells)
}

fn line(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
