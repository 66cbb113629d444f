"""`cargo demo -- --serve` in front of a new MinIO, and other processes that a script here needs for a while."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# In seconds. The first time, the demo builds everything.
START_TIMEOUT = 1800


@contextmanager
def running(name, command, log_file, is_ready, **options):
    """A process, from when it is ready, until the block ends. The script ends if it does not start."""
    with open(log_file, "w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{name} does not start, see {log_file}")
                time.sleep(0.2)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


@contextmanager
def served_demo(folder, name):
    """A running demo, with its files in the folder; gives its process and its variables."""
    env_file = folder / f"{name}.env"
    env_file.unlink(missing_ok=True)
    command = ["cargo", "demo", "--", "--serve", "--store", "minio", "--env-file", env_file]
    with running("the demo", command, folder / f"{name}-demo.log", env_file.exists, cwd=ROOT) as demo:
        yield demo, dict(line.split("=", 1) for line in env_file.read_text().splitlines())
