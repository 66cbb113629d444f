//! The running stacks that tests share, one for each store and mode, and stacks of a test's own.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use e2e::setup::Setup;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::{Store, StoreKind, minio};

/// Makes tests of functions that take a `&Stack`: one for every store and mode.
macro_rules! on_every_stack {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            use e2e::{stack::Mode, store::StoreKind};

            #[test]
            fn embedded_envelope() {
                crate::stacks::on(StoreKind::Embedded, Mode::Envelope, super::$test);
            }

            #[test]
            fn embedded_direct() {
                crate::stacks::on(StoreKind::Embedded, Mode::Direct, super::$test);
            }

            #[test]
            fn full_envelope() {
                crate::stacks::on(StoreKind::Full, Mode::Envelope, super::$test);
            }

            #[test]
            fn full_direct() {
                crate::stacks::on(StoreKind::Full, Mode::Direct, super::$test);
            }
        })+
    };
}

/// Everything that was built and fetched.
pub fn setup() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| Setup::prepare().expect("the set-up"))
}

/// Runs a test on the stack that all tests share, and shows the stack's logs if it fails.
pub fn on(store: StoreKind, mode: Mode, test: fn(&Stack)) {
    if let Some(stack) = shared(store, mode) {
        let _logs = LogsOnPanic(stack);
        test(stack);
    }
}

/// A stack of the test's own, with changes. None: the full store is not there.
pub fn own(store: StoreKind, mode: Mode, change: impl FnOnce(Builder<'static>) -> Builder<'static>) -> Option<Stack> {
    let builder = change(Builder::new(setup()).expect("a folder"));
    let store = match store {
        StoreKind::Embedded => Store::embedded(&builder.folder()),
        StoreKind::Full => Store::full(full_store()?, &builder.folder()),
    };
    Some(builder.start(store.expect("the store starts"), mode).expect("the stack starts"))
}

/// Shows a stack's logs when the test that holds this panics.
pub struct LogsOnPanic<'a>(pub &'a Stack);

impl Drop for LogsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0.log_tails());
        }
    }
}

/// The stack that all tests share. None: the full store is not there.
pub fn shared(store: StoreKind, mode: Mode) -> Option<&'static Stack> {
    static STACKS: [OnceLock<Option<Stack>>; 4] = [const { OnceLock::new() }; 4];
    let slot = 2 * usize::from(store == StoreKind::Full) + usize::from(mode == Mode::Direct);
    let stack = STACKS[slot].get_or_init(|| own(store, mode, |builder| builder)).as_ref();
    if stack.is_none() {
        say_skipped();
    }
    stack
}

/// The full store's program. None: it is not there.
pub fn full_store() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(|| minio::binary().expect("the full store")).as_ref()
}

/// Says that the test which calls this could not do what it is for.
pub fn say_skipped() {
    let test = thread::current().name().unwrap_or_default().to_owned();
    say(&format!("SKIPPED {test}: it needs the full store, and there is no Go to build that with"));
}

/// Writes a line past libtest, which swallows what a passing test prints.
pub fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
