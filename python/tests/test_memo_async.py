"""memo around async functions, on asyncio and on uvloop."""

import asyncio
import contextvars
import functools
import gc
import inspect
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

import pytest
from held_time import held_time

import tierce
from tierce import CycleError, LoadCancelledError, memo

try:
    import uvloop
except ImportError:
    uvloop = None

LOOPS = ["asyncio"] + (["uvloop"] if uvloop else [])


def _asyncio_run(main, kind):
    if kind == "asyncio":
        return asyncio.run(asyncio.wait_for(main, 60))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, 60))


@pytest.fixture(params=LOOPS)
def run(request):
    return lambda main: _asyncio_run(main, request.param)


class Source:
    """An async source whose loads wait until they are let go."""

    def __init__(self, **settings):
        self.calls = []
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.fail = None

        async def load(x):
            self.calls.append(x)
            number = len(self.calls)
            self.began.set()
            await self.go.wait()
            if self.fail is not None:
                raise self.fail
            return number

        self.get = memo(**settings)(load)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_hit_is_a_ready_awaitable(run):
    @memo
    async def source(x):
        await asyncio.sleep(0)
        return x

    async def main():
        for value in (7, None, (1, 2), StopIteration("x"), ValueError("x")):
            assert await source(value) is value
            before = len(asyncio.all_tasks())
            hit = source(value)
            assert type(hit) is tierce._tierce.Ready and len(asyncio.all_tasks()) == before
            assert isinstance(hit, Coroutine) and asyncio.iscoroutine(hit) and inspect.isawaitable(hit)
            assert await hit is value
            assert await asyncio.create_task(source(value)) is value
            assert await asyncio.wait_for(source(value), 1) is value
            assert await asyncio.gather(source(value), source(value)) == [value, value]
            assert await asyncio.shield(source(value)) is value
            async with asyncio.timeout(1):
                assert await source(value) is value
        with pytest.raises(RuntimeError, match="already awaited"):
            await hit

    run(main())
    assert inspect.iscoroutinefunction(source) or asyncio.iscoroutinefunction(source)


def test_a_hit_can_be_driven_as_a_coroutine_is():
    @memo
    async def source(x):
        return x

    asyncio.run(source("value"))
    with pytest.raises(StopIteration) as stopped:
        source("value").send(None)
    assert stopped.value.value == "value"
    with pytest.raises(LookupError):
        source("value").throw(LookupError("thrown"))
    assert source("value").close() is None
    source("value")  # no warning: nothing was to be awaited


def test_hits_make_no_garbage():
    @memo
    async def source(x):
        return x

    async def main():
        await source(1)
        await source(1)
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            for _ in range(100_000):
                await source(1)
            assert len(gc.get_objects()) - before < 50
        finally:
            gc.enable()

    asyncio.run(main())


def test_a_thousand_tasks_share_one_load(run):
    async def main():
        source = Source()
        tasks = [asyncio.create_task(source.get(1)) for _ in range(1000)]
        await source.began.wait()
        await turns()
        source.go.set()
        assert await asyncio.gather(*tasks) == [1] * 1000
        assert source.calls == [1] and source.get._counts()[-1] == 0

    run(main())


def test_a_failed_load_is_one_call_and_is_not_kept(run):
    async def main():
        source = Source()
        source.fail = LookupError("none")
        tasks = [asyncio.create_task(source.get(1)) for _ in range(10)]
        await source.began.wait()
        await turns()
        source.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(type(error) is LookupError for error in found) and len(source.calls) == 1
        source.fail = None
        assert await source.get(1) == 2

    run(main())


@pytest.mark.parametrize("victim", [0, 1, 5])
def test_a_cancelled_caller_touches_nobody_else(run, victim):
    async def main():
        source = Source()
        tasks = [asyncio.create_task(source.get(1)) for _ in range(6)]
        await source.began.wait()
        await turns()
        tasks[victim].cancel()
        await turns()
        source.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(victim), asyncio.CancelledError)
        assert found == [1] * 5 and source.calls == [1]

    run(main())


def test_when_the_last_caller_has_left_the_load_is_cancelled_and_the_key_is_free(run):
    async def main():
        source = Source()
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(source.get(1), 0.01)
        assert len(source.calls) == 3, "no later caller waits for a load that was given up"
        await turns()
        assert source.get._counts()[-1] == 0 and len(asyncio.all_tasks()) <= 2
        source.go.set()
        assert await source.get(1) == 4

    run(main())


def test_a_load_that_is_cancelled_from_within_is_a_typed_error(run):
    @memo
    async def source(x):
        if calls.append(x) or len(calls) == 1:
            await asyncio.sleep(0)
            raise asyncio.CancelledError
        return "second"

    calls = []

    async def main():
        found = await asyncio.gather(*(source(1) for _ in range(4)), return_exceptions=True)
        assert [type(one) for one in found].count(LoadCancelledError) == 1
        assert found.count("second") == 3 and len(calls) == 2

    run(main())


def test_what_was_invalidated_while_it_was_loaded_is_not_kept(run):
    async def main():
        source = Source()
        before = asyncio.create_task(source.get(1))
        await source.began.wait()
        source.get.invalidate(1)
        after = asyncio.create_task(source.get(1))
        await turns()
        source.go.set()
        assert await before == 1 and await after == 2
        assert source.get.peek(1) == 2 and await source.get.refresh(1) == 3 and source.get.peek(1) == 3

    run(main())


def test_a_set_during_a_load_stands(run):
    async def main():
        source = Source()
        before = asyncio.create_task(source.get(1))
        await source.began.wait()
        source.get.set("told", 1)
        source.go.set()
        assert await before == 1 and await source.get(1) == "told"

    run(main())


def test_a_stale_value_is_served_while_one_task_reloads_behind(run):
    async def main():
        with held_time() as clock:
            source = Source(ttl=10, stale=5, jitter=0)
            source.go.set()
            assert await source.get(1) == 1
            source.go.clear()
            clock.advance(12)
            assert await asyncio.gather(*(source.get(1) for _ in range(50))) == [1] * 50
            await turns()
            assert len(source.calls) == 2
            source.go.set()
            await turns()
            assert await source.get(1) == 2 and len(source.calls) == 2

    run(main())


def test_a_refresh_that_fails_is_reported_and_the_stale_value_served(run, caplog):
    async def main():
        with held_time() as clock:
            source = Source(ttl=10, stale=50, jitter=0)
            source.go.set()
            await source.get(1)
            source.fail = OSError("down")
            clock.advance(11)
            assert await source.get(1) == 1
            await turns()
            assert "a refresh of" in caplog.text
            assert await source.get(1) == 1

    run(main())


def test_context_variables_reach_the_loader(run):
    variable = contextvars.ContextVar("variable", default="unset")

    @memo
    async def source():
        await asyncio.sleep(0)
        return variable.get(), asyncio.current_task() is not None

    async def main():
        variable.set("told")
        async with asyncio.timeout(10):
            assert await source() == ("told", True)

    run(main())


def test_loads_may_nest_and_a_circle_is_an_error(run):
    @memo
    async def fib(n):
        return n if n < 2 else sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

    @memo
    async def selfish(x):
        return await selfish(x)

    @memo
    async def gathered(x):
        return (await asyncio.gather(gathered(x)))[0]

    @memo
    async def one(x):
        await asyncio.sleep(0)
        return await other(x)

    @memo
    async def other(x):
        await asyncio.sleep(0)
        return await one(x)

    async def main():
        assert await fib(30) == 832040
        for circle, says in ((selfish, "waits for itself"), (gathered, "may wait for itself")):
            with pytest.raises(CycleError, match=says):
                await circle(1)
        found = await asyncio.gather(one(1), other(1), return_exceptions=True)
        assert any(isinstance(error, CycleError) for error in found)
        assert all(source._counts()[-1] == 0 for source in (selfish, gathered, one, other))

    run(main())


def test_a_task_that_a_load_began_may_ask_for_its_key_later(run):
    async def main():
        left = []

        @memo
        async def source(x):
            left.append(asyncio.create_task(later(x)))
            return x

        async def later(x):
            await turns()
            return await source(x)

        assert await source(1) == 1
        assert await left[0] == 1

    run(main())


def test_a_task_that_a_load_began_joins_it_if_it_does_not_have_its_context(run):
    """Whether a load waits for a task that it began cannot be told: that is an error, which says what to do."""

    async def main(**how):
        left, calls = [], []

        @memo
        async def source(x):
            calls.append(x)
            left.append(asyncio.create_task(source(x), **how))
            await turns()
            return x

        assert await source(1) == 1 and calls == [1]
        return (await asyncio.gather(*left, return_exceptions=True))[0]

    assert run(main(context=contextvars.Context())) == 1
    error = run(main())
    assert isinstance(error, CycleError) and "source" in str(error) and "contextvars.Context()" in str(error)


def test_an_error_says_whether_a_circle_is_certain(run):
    """It is if each load of it asks for the next one itself; what a load has begun may be waited for, or not."""

    @memo
    async def first(x, through):
        await asyncio.sleep(0)
        return await through(second(x, through))

    @memo
    async def second(x, through):
        await asyncio.sleep(0)
        return await first(x, through)

    async def itself(awaitable):
        return await awaitable

    async def main():
        with pytest.raises(CycleError) as certain:
            await first(1, itself)
        with pytest.raises(CycleError) as perhaps:
            await first(1, asyncio.gather)
        assert "contextvars" not in str(certain.value) and "contextvars" in str(perhaps.value)

    run(main())


def test_two_loops_share_loads(run):
    """2,000 keys, each asked for by two loops in two threads at once."""
    calls = []

    @memo(maxsize=None)
    async def source(x):
        calls.append(x)
        await asyncio.sleep(0)
        return x

    both = threading.Barrier(2)
    errors = []

    def loop():
        async def main():
            for x in range(2000):
                both.wait(60)
                assert await source(x) == x

        try:
            run(main())
        except BaseException as error:
            errors.append(error)
            both.abort()

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == [] and len(calls) == 2000


def test_values_outlive_their_loop(run):
    calls = []

    @memo
    async def source(x):
        calls.append(x)
        return x

    assert run(source(1)) == 1 and run(source(1)) == 1 and calls == [1]


def test_a_loop_that_ends_in_the_middle_of_a_load_stops_nobody(run):
    calls = []

    @memo
    async def source(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "second"

    async def leaves():
        asyncio.create_task(source(1))
        await turns()

    run(leaves())
    assert run(source(1)) == "second"


def test_a_loop_that_stands_still_in_the_middle_of_a_load_stops_nobody():
    calls = []

    @memo
    async def source(x):
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return "second"

    async def leaves():
        tasks.append(asyncio.create_task(source(1)))
        await turns()

    tasks = []
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(leaves())
        assert asyncio.run(asyncio.wait_for(source(1), 60)) == "second"
    finally:
        loop.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks), 60))
        loop.close()


def test_a_loop_that_is_blocked_by_who_waits_for_its_load_stops_nobody(run):
    """A load's loop runs, and stands all the same: a bridge from sync to async waits in it for another loop."""
    calls = []

    @memo
    async def source(x):
        calls.append(x)
        await asyncio.sleep(0.01)
        return len(calls)

    async def main():
        first = asyncio.create_task(source(1))
        await turns()
        found = []
        thread = threading.Thread(target=lambda: found.append(run(source(1))), daemon=True)
        thread.start()
        thread.join(20)
        assert found == [2]
        assert await first == 2 and calls == [1, 1]

    run(main())


def test_a_loop_that_is_busy_for_a_while_keeps_its_load(run):
    """A fifth of a second of work is no standstill, however often it comes: nobody begins a second load."""
    calls = []

    @memo
    async def source(x):
        calls.append(x)
        for _ in range(6):
            time.sleep(0.2)
            await asyncio.sleep(0)
        return x

    async def main():
        first = asyncio.create_task(source(1))
        with ThreadPoolExecutor(1) as pool:
            await asyncio.sleep(0)
            other = asyncio.get_running_loop().run_in_executor(pool, lambda: run(source(1)))
            assert await first == await other == 1 and calls == [1]

    run(main())


def test_methods_of_instances(run):
    class Client:
        def __init__(self, name):
            self.name = name

        @memo(per_instance=True, ttl="5m")
        async def get(self, x):
            await asyncio.sleep(0)
            return self.name, x

    async def main():
        one, two = Client("one"), Client("two")
        assert await one.get(1) == ("one", 1) and await two.get(x=1) == ("two", 1)
        assert one.get.invalidate(1) and two.get.peek(1) == ("two", 1)
        assert await one.get.refresh(1) == ("one", 1)

    run(main())


def test_without_a_loop_hits_are_served_and_a_miss_says_what_it_needs():
    @memo
    async def source(x):
        return x

    asyncio.run(source(1))
    with pytest.raises(StopIteration) as stopped:
        source(1).send(None)
    assert stopped.value.value == 1
    with pytest.raises(RuntimeError, match="needs a running asyncio loop"):
        source(2).send(None)
    sys.modules.setdefault("trio", sys)
    try:
        with pytest.raises(RuntimeError, match="under trio values that are in memory are served"):
            source(2).send(None)
    finally:
        if sys.modules["trio"] is sys:
            del sys.modules["trio"]
    assert source._counts()[-1] == 0


def test_nothing_is_reported_as_never_retrieved_or_never_awaited():
    code = """
import asyncio, gc, warnings
from tierce import memo
warnings.simplefilter("error")

@memo
async def source(x):
    await asyncio.sleep(0)
    raise LookupError(x)

async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60  # a busy machine is nothing to report
    loop.set_exception_handler(lambda loop, context: print("REPORTED", context))
    await asyncio.gather(*(source(1) for _ in range(3)), return_exceptions=True)
    try:
        await asyncio.wait_for(source(2), 0)
    except asyncio.TimeoutError:
        pass
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_coroutine_is_no_value_to_set(run):
    """It can be awaited once, and what is meant is what it brings; type checkers let it pass."""

    @memo
    async def source(x):
        return x

    async def main():
        await source(1)
        for wrong in (source(1), source(2)):
            with pytest.raises(TypeError, match="source: .*await"):
                source.set(wrong, 3)
            assert await wrong in (1, 2)
        assert source.peek(3) is None

    run(main())


def test_a_miss_that_nobody_awaits_is_reported_by_the_functions_name():
    @memo
    async def source(x):
        await asyncio.sleep(0)

    with pytest.warns(RuntimeWarning, match="coroutine '.*source' was never awaited"):
        source(1)
        gc.collect()
    missed = source(1)
    assert inspect.iscoroutine(missed) and missed.__qualname__ == source.__qualname__
    refreshed = source.refresh(1)
    assert refreshed.__qualname__ == source.__qualname__
    assert asyncio.run(memo(functools.partial(source.__wrapped__, 1))()) is None, "what has no name is no error"
    missed.close(), refreshed.close()


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_a_forked_child_waits_for_no_load_of_its_parent():
    code = """
import os, threading, warnings
from tierce import memo
warnings.simplefilter("ignore")
began, go = threading.Event(), threading.Event()
parent = os.getpid()

@memo
def source(x):
    if os.getpid() == parent:
        began.set()
        go.wait(30)
    return os.getpid() == parent

thread = threading.Thread(target=source, args=(1,), daemon=True)
thread.start()
began.wait(30)
pid = os.fork()
if pid == 0:
    os._exit(0 if source(1) is False else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
go.set()
thread.join(30)
assert source(1) is True
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_loader_that_catches_a_circle_gives_its_value(run):
    @memo
    async def source(x):
        try:
            await source(x)
        except CycleError:
            await asyncio.sleep(0)
            return "caught"

    async def main():
        assert await source(1) == "caught" and await source(1) == "caught"
        assert source._counts()[-1] == 0

    run(main())


@pytest.mark.parametrize("how", ["fails", "is left"])
def test_a_load_whose_key_cannot_be_compared_at_its_end_leaves_nothing_behind(how):
    """In a process of its own: what it guards against is a loop that never awaits."""
    code = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from grudge import Grudge
from test_memo_async import turns
from tierce import memo

@memo
async def source(x):
    if x.number == 1 or "is left" == {how!r} and not done:
        await go.wait()
    elif not done:
        Grudge.raises = True
        raise LookupError
    return x.number

async def main():
    global go, done
    go, done = asyncio.Event(), []
    first = asyncio.create_task(source(Grudge(1)))
    await turns()
    second = asyncio.create_task(source(Grudge(2)))
    await turns()
    if {how!r} == "is left":
        second.cancel()
        Grudge.raises = True
    await asyncio.wait([second])
    Grudge.raises = False
    done.append(1)
    assert await source(Grudge(2)) == 2
    go.set()
    assert await first == 1 and source._counts()[-1] == 0

asyncio.run(main())
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout.strip() == "ok", done.stderr


def test_ten_thousand_callers_leave_in_no_time(run):
    """Each left a list of all: minutes."""
    import time

    async def main():
        source = Source()
        tasks = [asyncio.create_task(source.get(1)) for _ in range(20_000)]
        await source.began.wait()
        await turns()
        begin = time.process_time()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert time.process_time() - begin < 5
        assert source.get._counts()[-1] == 0

    run(main())


def test_a_stale_value_is_served_without_a_loop_and_where_no_refresh_can_begin(run, caplog):
    with held_time() as clock:
        calls = []

        @memo(ttl=10, stale=5, jitter=0)
        async def source(x):
            calls.append(x)
            return len(calls)

        def broken(x):
            raise RuntimeError("no load can begin")

        assert run(source(1)) == 1
        clock.advance(12)
        with pytest.raises(StopIteration) as stopped:
            source(1).send(None)
        assert stopped.value.value == 1 and source._counts()[-1] == 0
        wrapped, source.__wrapped__ = source.__wrapped__, broken
        assert run(source(1)) == 1 and "a refresh of" in caplog.text
        source.__wrapped__ = wrapped
        assert run(source(1)) == 1 and source._counts()[-1] == 0


@pytest.mark.parametrize("is_eager", [False, True])
def test_a_stale_hit_runs_nothing_of_its_refresh_before_it_returns(run, is_eager):
    with held_time() as clock:
        loads = []

        async def wait():
            await asyncio.sleep(0)

        def source(x):
            loads.append(x)
            return wait()

        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(source)
        else:
            source._is_coroutine = asyncio.coroutines._is_coroutine
        source = memo(ttl=10, stale=5, jitter=0)(source)

        async def main():
            if is_eager and sys.version_info >= (3, 12):
                # As asyncio.eager_task_factory, which uvloop gives more than that of 3.13 takes.
                eager = lambda loop, of, context=None, **_: asyncio.Task(of, loop=loop, context=context, eager_start=True)
                asyncio.get_running_loop().set_task_factory(eager)
            await source(1)
            clock.advance(12)
            await source(1)
            assert loads == [1], "the refresh has begun in its caller"
            await turns()
            assert loads == [1, 1] and not source._flies(source.key(1))

        run(main())


def test_a_failure_that_many_share_keeps_its_traceback(run):
    @memo
    async def fails(x):
        await asyncio.sleep(0)
        raise LookupError(x)

    async def main():
        failed = await asyncio.gather(*(fails(1) for _ in range(200)), return_exceptions=True)
        assert len({id(error) for error in failed}) == 1
        # tierce, the function: no more for 200 than for one.
        assert len(traceback.extract_tb(failed[0].__traceback__)) <= 4

    run(main())


def test_the_exception_by_which_a_hit_gives_its_value_is_as_a_coroutines():
    @memo
    async def source(x):
        return x

    source.set(7, 1), source.set((1, 2), 2)

    def ended(x):
        try:
            next(source(x).__await__())
        except StopIteration as stop:
            stop.__traceback__ = None
            return stop

    for written in ("args", "value", "__context__", "__cause__", "__notes__", "other"):
        before = ended(1)
        assert (before.args, before.value, repr(before)) == ((7,), 7, "StopIteration(7)")
        setattr(before, written, LookupError() if written in ("__context__", "__cause__") else (3,))
        del before
        stop = ended(2)
        assert (stop.args, stop.value) == (((1, 2),), (1, 2)) and vars(stop) == {}
        assert (stop.__context__, stop.__cause__, stop.__traceback__, stop.__suppress_context__) == (None, None, None, False)
        args = stop.args
        del stop
        ended(1)
        assert args == ((1, 2),)
