"""What a signal's handler raises in the middle of an async load stops nobody who comes later, nor who waits already."""

import asyncio
import sys

import pytest
from held_time import held_time
from interrupting import interrupted

from tierce import memo

LONGEST_S = 20

# What is interrupted between a coroutine and the task that it is for leaves it behind.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


class Loop:
    """An event loop that is used after it was interrupted."""

    def __init__(self, factory=None):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.set_task_factory(factory)
        self.tasks = []

    def begin(self, *coroutines):
        for coroutine in coroutines:
            self.tasks.append(self.loop.create_task(coroutine))

    def settled(self):
        """Everything that was begun ends, interrupted or not."""

        async def wait():
            return await asyncio.wait(self.tasks, timeout=LONGEST_S)

        if not self.tasks:
            return  # the first was interrupted when it was made
        _, pending = self.loop.run_until_complete(wait())
        assert not pending, f"{len(pending)} wait for ever"
        for task in self.tasks:
            task.cancelled() or task.exception()

    def ask(self, awaitable):
        async def ask():
            return await asyncio.wait_for(awaitable, LONGEST_S)

        return self.loop.run_until_complete(ask())

    def close(self):
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


async def _called(function, x):
    return await function(x)


async def _at_once(x):
    return x


async def _after_a_turn(x):
    await asyncio.sleep(0)
    return x


async def _failing(x):
    await asyncio.sleep(0)
    if x == 1:
        raise LookupError
    return x


async def _cancelled(x):
    await asyncio.sleep(0)
    if x == 1:
        raise asyncio.CancelledError
    return x


FACTORIES = [None, asyncio.eager_task_factory] if sys.version_info >= (3, 12) else [None]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("source", [_at_once, _after_a_turn, _failing, _cancelled])
def test_an_interruption_of_an_async_load_stops_nobody(source, factory):
    made = []

    def run(at):
        fails = [True]

        @memo(copy=lambda value: value)
        async def function(x):
            return await source(x if fails else x + 1)

        loop = Loop(factory)
        made.append((loop, function, fails))

        async def all_of_them():
            loop.begin(*(_called(function, 1) for _ in range(3)))
            await asyncio.wait(loop.tasks)

        with at:
            loop.loop.run_until_complete(all_of_them())

    places = 0
    for _ in interrupted(run, within="flight_async.py"):
        places += 1
        loop, function, fails = made[-1]
        fails.clear()
        assert loop.ask(_called(function, 1)) in (1, 2)
        loop.settled()
        assert loop.ask(_called(function, 1)) in (1, 2) and function._counts()[-1] == 0
        loop.close()
    assert places > 20
    made[-1][0].close()


def test_an_interruption_of_who_is_cancelled_stops_nobody():
    made = []

    def run(at):
        go = asyncio.Event()

        @memo
        async def function(x):
            await go.wait()
            return x

        loop = Loop()
        made.append((loop, function, go))

        async def cancel_all():
            loop.begin(*(_called(function, 1) for _ in range(2)))
            await asyncio.sleep(0)
            for task in loop.tasks:
                task.cancel()
            await asyncio.wait(loop.tasks)

        with at:
            loop.loop.run_until_complete(cancel_all())

    for _ in interrupted(run, within="flight_async.py"):
        loop, function, go = made[-1]
        go.set()
        assert loop.ask(_called(function, 1)) == 1
        loop.settled()
        assert function._counts()[-1] == 0
        loop.close()
    made[-1][0].close()


def test_an_interruption_of_a_refresh_stops_nobody():
    made = []

    def run(at):
        loads = []
        with held_time() as clock:

            @memo(ttl=1, stale=100, jitter=0)
            async def function(x):
                loads.append(x)
                await asyncio.sleep(0)
                return len(loads)

            loop = Loop()
            loop.ask(_called(function, 1))
            clock.advance(2)
            made.append((loop, function))

            async def stale():
                loop.begin(_called(function, 1))
                await asyncio.wait(loop.tasks)
                for _ in range(5):
                    await asyncio.sleep(0)

            with at:
                loop.loop.run_until_complete(stale())

    for _ in interrupted(run, within="flight_async.py"):
        loop, function = made[-1]
        loop.settled()
        with held_time() as clock:
            clock.advance(1000)
            assert loop.ask(_called(function, 1)) >= 2
        assert loop.ask(_called(function, 2)) >= 3 and function._counts()[-1] == 0
        loop.close()
    made[-1][0].close()


def test_an_interruption_without_a_loop_stops_nobody():
    made = []

    def run(at):
        function = memo(_at_once)
        made.append(function)
        with at:
            with pytest.raises(RuntimeError):
                function(1).send(None)

    for _ in interrupted(run, within="flight_async.py"):
        loop = Loop()
        assert loop.ask(_called(made[-1], 1)) == 1
        loop.close()
