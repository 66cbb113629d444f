//! Child processes that cannot outlive the harness, with their output in a file.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

/// How long a child has to end by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How long a child has to become ready; generous, for a busy CI machine.
const READY: Duration = Duration::from_secs(60);

/// A running child. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a child whose standard output and error go to `log`.
    pub fn spawn(name: &'static str, mut command: Command, log: PathBuf) -> Result<Self> {
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn_from_lasting_thread(command).with_context(|| format!("{name} does not start"))?;
        Ok(Self { name, child, log })
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the child has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of what the child has written, for a message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        format!("--- {} ({})\n{}\n", self.name, self.log.display(), tail.join("\n"))
    }

    /// Asks `probe` until it has an answer. Fails when the child ends, or takes too long.
    pub fn wait_until_ready<T>(&mut self, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + READY;
        loop {
            if let Some(ready) = probe() {
                return Ok(ready);
            }
            self.ensure_running()?;
            if Instant::now() > deadline {
                bail!("{} is not ready after {READY:?}\n{}", self.name, self.log_tail());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails if the child has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}\n{}", self.name, self.log_tail()),
            None => Ok(()),
        }
    }

    /// Ends the child: SIGTERM, and SIGKILL if that does not help.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        if let Some(status) = self.wait(GRACE)? {
            return Ok(status);
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Sends a signal, unless the child has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal)?;
        }
        Ok(())
    }

    /// Waits for the child to end by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{}: {error:#}", self.name);
        }
    }
}

/// What proc(5) says of a process's memory under this name, in bytes.
pub fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).with_context(|| format!("no {name}"))?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// An address of this machine's own at which nobody listens, for a program that cannot say which port it got. Nobody else should
/// take it in the moment between.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Runs a tool to its end; its output is the error's text if it fails.
pub fn run(command: &mut Command) -> Result<Output> {
    // Not the command's `Debug`, which would show its environment, and that may hold credentials.
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!(
            "{program} {:?}: {}\n{}{}",
            command.get_args(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

type Spawn = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel sends the death signal when the *thread* that forked ends, and a test's thread ends long before the stack
/// that it happened to start first. So one thread that lives as long as the process starts all children.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: LazyLock<mpsc::Sender<Spawn>> = LazyLock::new(|| {
        let (requests, inbox) = mpsc::channel::<Spawn>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The asking thread waits for the answer, so somebody is there to hear it.
                let _ = answer.send(bound_to_parent(&mut command).spawn());
            }
        });
        requests
    });
    let (answer, result) = mpsc::channel();
    SPAWNER.send((command, answer)).context("the spawning thread is gone")?;
    Ok(result.recv().context("the spawning thread is gone")??)
}

/// The child gets SIGKILL when the harness dies, however that happens.
fn bound_to_parent(command: &mut Command) -> &mut Command {
    let parent = Pid::from_raw(std::process::id().cast_signed());
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; prctl and getppid are.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above.
            if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    }
}
