#!/usr/bin/env python3
"""Runs Ceph's S3 conformance suite twice, against MinIO as it is and through S3EP, and says what differs.

    python3 tests/s3_tests.py CHECKOUT      a checkout of github.com/ceph/s3-tests

Each run has a MinIO of its own, without data. Every user of the suite is the one user that there is. What is known to differ,
and why, stands in s3_tests.toml. Exits 0 if that accounts for every test that passes with MinIO alone and fails
through S3EP. Results and logs stay in target/e2e/s3-tests.
"""

import argparse
import fnmatch
import os
import subprocess
import sys
import tomllib
import venv
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from served_demo import ROOT, served_demo

FOLDER = ROOT / "target/e2e/s3-tests"
# What any S3 store may be asked. The other files are about IAM, STS, SNS and S3 Select.
FILES = ["test_s3.py", "test_headers.py"]
# Stalls an upload for 30 s. From then on MinIO answers 499 to whatever comes on that connection, and behind Envoy's pool of
# connections that is the other tests' requests. (It fails with MinIO alone, too.)
EXCLUDED = "test_s3.py::test_atomic_conditional_write_1mb"
RUNNER = ["pytest==9.2.0", "pytest-timeout==2.4.0", "pytest-xdist==3.8.0"]
# In seconds; the suite's own waits are shorter.
TEST_TIMEOUT = 180


def main():
    options = arguments()
    FOLDER.mkdir(parents=True, exist_ok=True)
    python = environment(options.checkout)
    for side in ["bare", "through"]:
        if side not in options.reuse:
            with served_demo(FOLDER, side) as (_, variables):
                suite(options, python, side, **endpoint(side, variables))
    unexplained = report(results("bare"), results("through"))
    sys.exit(1 if unexplained else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of github.com/ceph/s3-tests")
    parser.add_argument("-k", metavar="EXPRESSION", help="only the tests that pytest selects with this")
    parser.add_argument("--jobs", default="4", help="tests at a time (default: 4; most of them wait)")
    parser.add_argument("--reuse", action="append", default=[], choices=["bare", "through"], help="take the last results")
    return parser.parse_args()


def environment(checkout):
    """An interpreter with what the suite needs, and boto3 in the version of our other tests."""
    folder = FOLDER / "python"
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    needed = ["-r", checkout / "requirements.txt", "-c", ROOT / "tests/requirements.txt", *RUNNER]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed], check=True)
    return python


def endpoint(side, variables):
    names = {
        "bare": ("S3EP_STORE_URL", "S3EP_STORE_ACCESS_KEY_ID", "S3EP_STORE_SECRET_ACCESS_KEY"),
        "through": ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    }
    return dict(zip(["url", "access_key", "secret_key"], (variables[name] for name in names[side])))


def suite(options, python, side, url, access_key, secret_key):
    """Runs the suite. That some of its tests fail is expected; the report tells which."""
    configuration = FOLDER / f"{side}.conf"
    configuration.write_text(configured(urlsplit(url), access_key, secret_key))
    files = [Path("s3tests/functional") / file for file in FILES]
    command = [python, "-m", "pytest", "-q", "-n", options.jobs, f"--timeout={TEST_TIMEOUT}", *files]
    command += ["--deselect", f"s3tests/functional/{EXCLUDED}", "-p", Path(__file__).stem]
    command += [f"--junit-xml={FOLDER / side}.xml", "-p", "no:cacheprovider"]
    command += ["-k", options.k] if options.k else []
    # With a home of its own, so that no AWS configuration of the user's counts.
    variables = {"PATH": os.environ["PATH"], "HOME": str(FOLDER), "S3TEST_CONF": str(configuration)}
    variables |= {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(Path(__file__).parent)}
    variables |= {"PYTHONDONTWRITEBYTECODE": "1"}
    with open(FOLDER / f"{side}.log", "w") as log:
        subprocess.run(command, cwd=options.checkout, env=variables, stdout=log, stderr=subprocess.STDOUT)


def pytest_configure():
    """This file is also a plugin of the suite's run: it turns off the cleaning up around each test. A store without data needs
    none, and a bucket that one test could not empty would fail all tests behind it."""
    from s3tests import functional

    def new_prefix():
        functional.prefix = functional.choose_bucket_prefix("s3ep-{random}-")

    functional.setup, functional.teardown = new_prefix, lambda: None


def configured(url, access_key, secret_key):
    """The suite's configuration. It wants many users, and all of them are the one that there is."""
    lines = ["[DEFAULT]", f"host = {url.hostname}", f"port = {url.port}", "is_secure = False", "ssl_verify = False"]
    for section in ["s3 main", "s3 alt", "s3 tenant", "iam", "iam root", "iam alt root"]:
        user = {"access_key": access_key, "secret_key": secret_key, "user_id": "minio", "display_name": "minio"}
        user |= {"email": "minio@localhost", "tenant": "minio", "api_name": "us-east-1", "lc_debug_interval": "1"}
        user |= {"kms_keyid": "s3ep-test", "kms_keyid2": "s3ep-test"}
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in user.items())]
    return "\n".join(lines) + "\n"


def results(side):
    """Whether each test passed, was skipped, or failed."""
    found = {}
    for case in ElementTree.parse(FOLDER / f"{side}.xml").iter("testcase"):
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        found[case.get("name")] = outcome
    return found


def report(bare, through):
    """Prints the comparison as Markdown. Gives the differences that have no reason."""
    ran = [name for name in bare if bare[name] != "skipped"]
    passed = lambda side: sum(side[name] == "passed" for name in ran)
    lost = sorted(name for name in ran if bare[name] == "passed" and through.get(name) != "passed")
    won = sorted(name for name in ran if bare[name] != "passed" and through.get(name) == "passed")
    print(f"Of {len(ran)} tests, MinIO alone passes {passed(bare)}, and MinIO behind S3EP {passed(through)}.\n")
    print("| passes with MinIO alone, fails through S3EP | tests |\n|---|---|")
    reasons = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["reason"]
    reason_of = {name: reason_for(name, reasons) for name in lost}
    counts = Counter(reason_of.values())
    for reason in reasons:
        if counts[reason["why"]]:
            print(f"| {reason['why']} | {counts[reason['why']]} |")
    print()
    for reason in [*(reason["why"] for reason in reasons), None]:
        names = [name for name in lost if reason_of[name] == reason]
        if names:
            print(f"{reason or 'WITHOUT A REASON'}:\n    " + "\n    ".join(names))
    if won:
        print("Fails with MinIO alone, passes through S3EP:\n    " + "\n    ".join(won))
    return [name for name in lost if not reason_of[name]]


def reason_for(name, reasons):
    matching = (reason for reason in reasons if any(fnmatch.fnmatchcase(name, pattern) for pattern in reason["tests"]))
    return next((reason["why"] for reason in matching), None)


if __name__ == "__main__":
    main()
