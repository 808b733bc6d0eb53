"""How a task waits: on an event loop, or on a thread of its own that runs none. What the tasks do is written once for both."""

import asyncio
import time


class OnLoop:
    """As a coroutine of a loop."""

    def __init__(self, link):
        self._link = link
        self.sleep, self.ask, self.within = asyncio.sleep, link.ask, asyncio.timeout


class OnThread:
    """As plain code, which blocks where the other awaits: to be run by `drive`. It leaves nothing in the middle."""

    def __init__(self, link):
        self._link = link

    async def sleep(self, seconds):
        time.sleep(seconds)

    async def ask(self, kind, key):
        return self._link.ask_plainly(kind, key)

    def within(self, _patience):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    def expired(self):
        return False


def drive(coroutine):
    """Runs one that never waits for a loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("plain code waits for a loop")
