//! A configuration loads or is refused in one line, and neither shows what a variable holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3ep_core::config::Config;

const SECRET: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

fuzz_target!(|data: &[u8]| {
    let shown = match Config::parse(data, &|name| (name == "S").then(|| SECRET.to_owned())) {
        Ok(config) => format!("{config:?}"),
        Err(error) => error.to_string(),
    };
    assert!(!shown.contains(['\n', '\r']) && !shown.contains(SECRET), "{shown}");
});
