"""`cached` and the ends of loops: those that shut down, those that nobody closes, those that a fork leaves behind."""

import asyncio
import gc
import os
import threading
import weakref

import pytest
from children import child

from tierce import Hub
from tierce._tierce import testing


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
@pytest.mark.parametrize("leaves", [False, True], ids=["at rest", "with a lookup that was given up"])
def test_a_loop_that_nobody_closes_is_let_go(leaves):
    @Hub().cached
    async def function(x):
        await asyncio.sleep(0)
        return x

    async def leave(at):
        await function(at)
        if leaves:
            function(-1 - at).send(None)
            while function.stats().loading:
                await asyncio.sleep(0)

    gone = []
    for at in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave(at))
        gone.append(weakref.ref(loop))
        del loop
    asyncio.run(function("another"))
    gc.collect()
    assert [one() for one in gone] == [None] * 5
    assert testing.live() == (0, 0)


def test_a_loop_at_rest_in_another_thread_goes_on_as_it_was():
    calls = []

    @Hub().cached
    async def function(x):
        calls.append(x)
        await asyncio.sleep(0)
        return x

    loop = asyncio.new_event_loop()
    for x in range(20):
        assert loop.run_until_complete(function(x)) == x
        thread = threading.Thread(target=lambda: asyncio.run(function(-x)))
        thread.start()
        thread.join()
        assert loop.run_until_complete(function(-x)) == -x
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert calls == [x for at in range(20) for x in ([at, -at] if at else [0])]
    assert testing.live() == (0, 0)


def test_a_background_load_of_a_loop_that_rests_is_not_given_up():
    gate = []

    @Hub().cached
    async def function(x):
        gate.append(asyncio.get_running_loop().create_future())
        return await gate[-1]

    async def begin():
        task = asyncio.create_task(function(1))
        await asyncio.sleep(0)
        task.cancel()

    async def end():
        gate[0].set_result("brought")
        return await function(1)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    thread = threading.Thread(target=lambda: asyncio.run(begin_another()))

    @Hub().cached
    async def another(): ...

    async def begin_another():
        await another()

    thread.start()
    thread.join()
    assert loop.run_until_complete(end()) == "brought"
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert len(gate) == 1


def test_generators_that_end_with_the_loop_may_look_something_up():
    child("""
        import asyncio, tierce

        found = []

        @tierce.cached
        async def function(x):
            for _ in range(x % 4):
                await asyncio.sleep(0)
            return x

        async def generator(x):
            try:
                yield
            finally:
                for _ in range(x // 4 % 3):
                    await asyncio.sleep(0)
                found.append((x, await function(x)))

        async def main():
            await function(-1)
            kept.extend(generator(x) for x in range(24))
            for one in kept:
                await anext(one)

        kept = []
        asyncio.run(main())
        assert sorted(found) == [(x, x) for x in range(24)], found
        from tierce._tierce import testing
        asyncio.run(function(-2))
        assert testing.live() == (0, 0), testing.live()
    """)


def test_a_generator_that_ends_with_its_loop_waits_for_a_load_of_another_loop():
    child("""
        import asyncio, threading, tierce

        begun, found = threading.Event(), []

        @tierce.cached
        async def function(x):
            begun.set()
            while x == 1 and function.stats().coalesced < 8:
                await asyncio.sleep(0.001)
            return x

        async def generator():
            try:
                yield
            finally:
                found.append(await function(1))

        async def main():
            await function(2)
            await asyncio.to_thread(begun.wait)
            kept.extend(generator() for _ in range(8))
            for one in kept:
                await anext(one)

        kept = []
        other = threading.Thread(target=lambda: asyncio.run(function(1)))
        other.start()
        begun.wait()
        asyncio.run(main())
        other.join()
        assert found == [1] * 8, found
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_runs_nothing_of_the_parents_loads():
    child("""
        import asyncio, gc, os, tierce

        @tierce.cached
        async def function(x):
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                os.write(writes, b"ended in %d\\n" % os.getpid())

        async def begin():
            task = asyncio.create_task(function(1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()

        reads, writes = os.pipe()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        pid = os.fork()
        if pid == 0:
            gc.collect()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        os.set_blocking(reads, False)
        try:
            ended = os.read(reads, 1000)
        except BlockingIOError:
            ended = b""
        assert ended == b"", ended
        os._exit(0)
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_refreshes_behind_though_its_parents_threads_had_nothing_to_do():
    child("""
        import os, threading, time, tierce

        loaded = threading.Event()

        @tierce.cached(stale="1h")
        def function(x):
            loaded.set()
            return os.getpid()

        def refresh():
            function(1)
            loaded.clear()
            function.mark_stale(1)
            function(1)
            assert loaded.wait(20), "nobody refreshes"

        refresh()
        while function(1) != os.getpid():
            pass
        pid = os.fork()
        if pid == 0:
            try:
                refresh()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
    """)
