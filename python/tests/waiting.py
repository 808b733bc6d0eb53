"""Waiting for what another thread does, with an end."""

import threading
import time

LONGEST_S = 30


def until(condition):
    """Waits until the condition holds, 30 s at most."""
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, f"waited {LONGEST_S} s for what did not come"
        threading.Event().wait(0.001)
