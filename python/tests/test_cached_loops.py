"""`cached` among loops: several of them, one after the other, closed in the middle of a load, forked."""

import asyncio
import gc
import os
import sys
import threading
import time
import weakref

import pytest

from tierce import Hub
from tierce._tierce import testing

NEVER = 3600


def counted(load, **settings):
    calls = []

    @Hub().cached(**settings)
    async def function(x):
        calls.append(x)
        return await load(x, len(calls))

    return function, calls


async def hang_at_first(x, call):
    """The first load never ends."""
    await asyncio.sleep(NEVER if call == 1 else 0)
    return call


def in_threads(*mains):
    """Runs each in a loop of its own, in a thread of its own, at once."""
    found = [None] * len(mains)

    def run(at):
        found[at] = asyncio.run(mains[at]())

    threads = [threading.Thread(target=run, args=(at,), daemon=True) for at in range(len(mains))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "two loops wait for each other"
    return found


def test_two_loops_in_two_threads_share_one_flight():
    function, calls = counted(lambda x, call: asyncio.sleep(0.02, x))
    begin = threading.Barrier(2)

    async def main():
        begin.wait()
        return await asyncio.gather(*[function(1) for _ in range(200)])

    assert in_threads(main, main) == [[1] * 200] * 2
    assert calls == [1]
    assert testing.live() == (0, 0)


def test_two_loops_race_for_two_thousand_keys_and_load_each_once():
    function, calls = counted(lambda x, call: asyncio.sleep(0, x))
    begin = threading.Barrier(2)

    async def main():
        for x in range(2000):
            begin.wait()
            assert await asyncio.gather(*[function(x) for _ in range(4)]) == [x] * 4

    in_threads(main, main)
    assert sorted(calls) == list(range(2000))


def test_invalidations_from_another_thread_race_with_loads():
    source = [0]

    async def load(x, call):
        value = source[0]
        await asyncio.sleep(0)
        return value

    function, _ = counted(load)
    over = threading.Event()

    def change():
        async def main():
            for _ in range(2000):
                source[0] += 1
                after = source[0]
                await function.invalidate(1)
                assert await function(1) >= after

        try:
            asyncio.run(main())
        finally:
            over.set()

    async def main():
        while not over.is_set():
            before = source[0]
            assert await function(1) >= before - 1
            await asyncio.sleep(0)

    thread = threading.Thread(target=change)
    thread.start()
    asyncio.run(asyncio.wait_for(main(), 60))
    thread.join()


def test_asyncio_run_again_finds_what_was_loaded_before():
    function, calls = counted(lambda x, call: asyncio.sleep(0.001, x))

    async def main(x):
        return await function(x)

    assert [asyncio.run(main(x)) for x in (1, 1, 2)] == [1, 1, 2]
    assert calls == [1, 2]
    assert testing.live() == (0, 0)


def test_a_load_that_asyncio_run_leaves_behind_is_not_waited_for():
    function, calls = counted(hang_at_first)

    async def leave():
        task = asyncio.create_task(function(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    async def ask():
        return await asyncio.wait_for(function(1), 10)

    asyncio.run(leave())
    assert function.stats().loading == 0
    assert testing.live() == (0, 0)
    assert asyncio.run(ask()) == 2


@pytest.mark.parametrize("waits", [True, False], ids=["who waits already", "who comes later"])
@pytest.mark.parametrize("shut_down", [True, False], ids=["shut down", "closed alone"])
def test_a_loop_that_is_closed_in_the_middle_of_a_load_keeps_nobody(waits, shut_down):
    function, _ = counted(hang_at_first)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(None)

    async def begin():
        loop.lookup = asyncio.ensure_future(function(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def close():
        if shut_down:
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def ask():
        waiting = asyncio.create_task(asyncio.wait_for(function(1), 10))
        await asyncio.sleep(0.01)
        if waits:
            assert function.stats().coalesced == 1
            # Elsewhere, as loops are: this one runs here.
            thread = threading.Thread(target=close)
            thread.start()
            while thread.is_alive():
                await asyncio.sleep(0.001)
        return await waiting

    loop.run_until_complete(begin())
    assert function.stats().loading == 1
    if not waits:
        close()
    began = time.monotonic()
    assert asyncio.run(ask()) == 2
    assert time.monotonic() - began < 5
    del loop
    gc.collect()


def test_a_load_past_its_callers_loop_is_cancelled_there():
    ends = []

    async def load(x, call):
        try:
            await asyncio.sleep(NEVER)
        finally:
            ends.append(x)

    function, _ = counted(load)

    async def main():
        task = asyncio.create_task(function(1))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(main())
    assert ends == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_in_the_middle_of_a_load_leaves_both_processes_right():
    async def load(x, call):
        await asyncio.sleep(0.05)
        return (x, os.getpid())

    function, _ = counted(load)

    async def main():
        await function("before")
        task = asyncio.create_task(function("during"))
        await asyncio.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            asyncio._set_running_loop(None)
            code = 9
            try:
                code = asyncio.run(child())
            except BaseException as error:
                print("child:", repr(error), file=sys.stderr, flush=True)
            os._exit(code)
        assert await task == ("during", os.getpid())
        assert await function("after") == ("after", os.getpid())
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(0.01)

    async def child():
        parent = os.getppid()
        if await asyncio.wait_for(function("before"), 10) != ("before", parent):
            return 1
        if await asyncio.wait_for(function("during"), 10) != ("during", os.getpid()):
            return 2
        return 0 if testing.live()[1] == 1 else 3

    assert asyncio.run(asyncio.wait_for(main(), 30)) == 0


def test_a_hundred_thousand_lookups_leave_nothing():
    @Hub().cached(maxsize=50)
    async def function(x):
        if x % 2:
            await asyncio.sleep(0)
        return object()

    async def some(task, count):
        for at in range(count):
            await function((task * 37 + at) % 500)
            if at % 7 == 0:
                await function.invalidate(at % 500)
            if at % 11 == 0:
                leaving = asyncio.ensure_future(function(1000 + at))
                await asyncio.sleep(0)
                leaving.cancel()

    async def round(count):
        await asyncio.gather(*[some(task, count) for task in range(100)])
        while function.stats().loading:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await function.clear()
        gc.collect()
        return len(gc.get_objects()), sys.getallocatedblocks(), len(asyncio.all_tasks())

    async def main():
        await round(100)
        objects, blocks, tasks = await round(100)
        objects_after, blocks_after, tasks_after = await round(1000)
        assert testing.live() == (0, 1)
        assert tasks_after == tasks == 1
        assert abs(objects_after - objects) < 60
        assert abs(blocks_after - blocks) < 600

    asyncio.run(main())
    assert testing.live() == (0, 0)


def test_who_leaves_is_gone_at_once():
    function, _ = counted(hang_at_first)

    async def main():
        first = asyncio.create_task(function(1))
        await asyncio.sleep(0.001)
        before = testing.live()
        for _ in range(200):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(function(1), 0.0001)
        assert testing.live() == before
        first.cancel()

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_waits_on_a_loop_that_was_thrown_away_is_collected():
    class Thing: ...

    function, _ = counted(hang_at_first)
    gone = []

    def throw_away():
        loop = asyncio.new_event_loop()

        async def wait():
            thing = Thing()
            gone.append(weakref.ref(thing))
            await function(len(gone))
            return thing

        async def main():
            for _ in range(5):
                asyncio.ensure_future(wait())
            await asyncio.sleep(0.01)

        loop.set_exception_handler(lambda loop, context: None)
        loop.run_until_complete(main())
        loop.close()

    async def look_around():
        await function("other")

    for _ in range(3):
        throw_away()
    asyncio.run(asyncio.wait_for(look_around(), 10))
    gc.collect()
    gc.collect()
    assert [one() for one in gone] == [None] * 15
    assert testing.live() == (0, 0)


def test_many_threads_and_loops_come_and_go():
    function, calls = counted(lambda x, call: asyncio.sleep(0.001, x))

    async def main():
        return await asyncio.gather(*[function(x % 50) for x in range(100)])

    def several():
        for _ in range(10):
            assert asyncio.run(main()) == [x % 50 for x in range(100)]

    threads = [threading.Thread(target=several) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert testing.live() == (0, 0)
