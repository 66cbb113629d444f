#!/usr/bin/env python3
"""Runs a WASI program, such as a test binary: cargo's runner for wasm32-wasip1 (.cargo/config.toml).

It uses wasmtime's Python package, which has the runtime in it, and gets it from PyPI on first use.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "50.0.1"
VENV = Path(__file__).resolve().parent.parent / "target" / f"wasmtime-{VERSION}"


def use_wasmtime():
    """Goes on in a virtual environment that has wasmtime."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix) == VENV:
        return
    if not (VENV / "ready").exists():
        venv.create(VENV, with_pip=True, clear=True)
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", f"wasmtime=={VERSION}"])
        (VENV / "ready").touch()
    os.execv(python, [python, __file__, *sys.argv[1:]])


def run(program, arguments):
    from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    wasi = WasiConfig()
    wasi.argv = [program, *arguments]
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    store = Store(engine)
    store.set_wasi(wasi)
    instance = linker.instantiate(store, Module.from_file(engine, program))
    try:
        instance.exports(store)["_start"](store)
    except ExitTrap as exit:
        return exit.code
    return 0


if __name__ == "__main__":
    use_wasmtime()
    sys.exit(run(sys.argv[1], sys.argv[2:]))
