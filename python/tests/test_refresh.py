"""Refreshes behind callers: they end once, and hold up no end of a process."""

import subprocess
import sys
import threading

import pytest
from held_time import held_time

from tierce import flight, memo


def test_a_refresh_for_which_no_thread_can_be_had_ends_once(monkeypatch, caplog):
    """One who needs it runs it meanwhile: what he brings stands."""
    unraisable, got, start = [], [], threading.Thread.start
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(flight, "_workers", None, raising=False)
    with held_time() as clock:
        loads = []

        @memo(ttl=1, stale=1, jitter=0)
        def load(x):
            loads.append(x)
            return len(loads)

        def refuse(thread):
            # Not even stale by now, so that who asks needs the load that was offered.
            clock.advance(2)
            other = threading.Thread(target=lambda: got.append(load(7)))
            start(other)
            other.join(20)
            raise RuntimeError("can't start new thread")

        assert load(7) == 1
        clock.advance(1.5)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert load(7) == 1
        monkeypatch.undo()
        assert got == [2] and load(7) == 2 and unraisable == [] and not load._flies(load.key(7))
        assert caplog.records == []


PROGRAM = """
import atexit, sys, threading, time, tierce
begun = threading.Event()

@tierce.memo(ttl=1, stale=3600, jitter=0)
def load(x, first=[]):
    if not first:
        first.append(1)
        return "stale"
    begun.set()
    if HANGS:
        threading.Event().wait()
    return "new"

tierce._tierce.testing.hold_time(1000)
load(1)
tierce._tierce.testing.hold_time(3000)
"""


def ran(program, hangs):
    done = subprocess.run(
        [sys.executable, "-c", f"HANGS = {hangs}\n{PROGRAM}{program}"], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout.split(), done.stderr


def test_a_process_ends_while_a_refresh_runs_that_never_does():
    assert ran("print(load(1)); begun.wait()", True) == (0, ["stale"], "")


# As CPython 3.12 does when it ends.
REFUSES = """
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")

threading.Thread.start = refuse
"""


@pytest.mark.parametrize("before, hangs", [("", False), ("load(1); begun.wait()", True), (REFUSES, False)])
def test_a_stale_hit_is_served_quietly_while_the_process_ends(before, hangs):
    assert ran(f"{before}\natexit.register(lambda: print(load(1)))", hangs) == (0, ["stale"], "")


def test_a_thread_that_outlives_the_main_one_is_served_quietly():
    program = """
def outlive():
    threading.main_thread().join()
    print(load(1))

threading.Thread(target=outlive).start()
"""
    code, said, error = ran(program, False)
    assert (code, said, error) == (0, ["stale"], "")
