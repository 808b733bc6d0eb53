"""A clock that stands still, for tests of ages."""

from contextlib import contextmanager

from tierce import _tierce


class HeldTime:
    def __init__(self):
        self.ms = 1_000_000

    def advance(self, seconds):
        self.ms += round(seconds * 1000)
        _tierce.testing.hold_time(self.ms)


@contextmanager
def held_time():
    clock = HeldTime()
    clock.advance(0)
    try:
        yield clock
    finally:
        _tierce.testing.hold_time(0)
