"""A process of Rust's beside the tests: `tierce beside-python`, which does what it is told by lines, beside each other."""

import json
import os
import shutil
import subprocess
import threading
from concurrent.futures import Future
from functools import cache
from itertools import count
from pathlib import Path

import pytest

LONGEST_S = 60
LONGEST_BUILD_S = 1500
"""All of the command's crates, on two slow cores."""

ROOT = Path(__file__).resolve().parents[2]


@cache
def binary():
    """The command, newest of those that are built, or built now: TIERCE_BINARY names another."""
    if named := os.environ.get("TIERCE_BINARY"):
        return named
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    built = [one for one in (target / "release/tierce", target / "debug/tierce") if one.exists()]
    for one in sorted(built, key=lambda one: one.stat().st_mtime, reverse=True):
        if subprocess.run([one, "beside-python", "--help"], capture_output=True, timeout=LONGEST_S).returncode == 0:
            return one
    if not shutil.which("cargo"):
        pytest.skip("there is no cargo to build the command tierce with: install Rust, or name one by TIERCE_BINARY")
    command = ["cargo", "build", "-q", "-p", "tierce-cli", "--target-dir", target]
    subprocess.run(command, cwd=ROOT, check=True, timeout=LONGEST_BUILD_S)
    return target / "debug/tierce"


class Rust:
    """A process of it. What is asked is answered by text, or by what that says in JSON."""

    def __init__(self, url, namespace):
        command = [binary(), "beside-python", "--store", url, "--namespace", namespace]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answers, self._numbers = {}, count()
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    def begin(self, *words):
        """Asks for something, whose answer comes to a future."""
        number = str(next(self._numbers))
        self._answers[number] = Future()
        print(number, *words, file=self._process.stdin, flush=True)
        return self._answers[number]

    def ask(self, *words):
        return self.begin(*words).result(LONGEST_S)

    def _hear(self):
        for line in self._process.stdout:
            number, answer = line.rstrip("\n").split(" ", 1)
            self._answers[number].set_result(json.loads(answer) if answer[0] in "{n" or answer.isdigit() else answer)

    def end(self):
        self._process.stdin.close()
        assert self._process.wait(LONGEST_S) == 0
        self._hearing.join(LONGEST_S)
        self._process.stdout.close()
