"""`cached` and the turns of a loop: what its own code raises, what it does in between, who makes its tasks."""

import asyncio
import contextvars
import selectors
import sys
import threading
import time
from itertools import pairwise

import pytest
from children import child
from servers import Redis, free_port
from waiting import until

import tierce
from tierce import Hub
from tierce._tierce import testing


class Odd(asyncio.SelectorEventLoop):
    """A loop whose methods do something first, which is taken out of `first` when it is done: "turn" when it is asked for one, "tell" when it is to
    tell who waits."""

    def __init__(self):
        self.first = {}
        super().__init__()

    def _do(self, name):
        if first := self.first.pop(name, None):
            first()

    def call_soon_threadsafe(self, callback, *args, **named):
        if type(callback).__name__ == "Hook":
            self._do("turn")
        return super().call_soon_threadsafe(callback, *args, **named)

    def call_later(self, *args, **named):
        self._do("call_later")
        return super().call_later(*args, **named)

    def call_soon(self, callback, *args, **named):
        if args and type(args[0]).__module__ == "tierce._tierce":
            self._do("tell")
        return super().call_soon(callback, *args, **named)

    def is_closed(self):
        self._do("is_closed")
        return super().is_closed()


def raises(error):
    def first():
        raise error

    return first


def run(main, loop=None):
    with asyncio.Runner(loop_factory=lambda: loop or Odd()) as runner:
        return runner.run(asyncio.wait_for(main, 30))


def test_others_of_the_loop_get_their_turn_among_many_lookups():
    gate, seen = [], []

    @Hub().cached
    async def function(x):
        gate.append(asyncio.get_running_loop().create_future())
        return await gate[0]

    async def main():
        lookups = [function(1) for _ in range(20_000)]
        futures = [lookup.send(None) for lookup in lookups]
        await asyncio.sleep(0)
        gate[0].set_result(None)
        while not all(one.done() for one in futures):
            seen.append(sum(one.done() for one in futures))
            await asyncio.sleep(0)
        seen.append(len(futures))

    run(main())
    # In each of a turn's entries: the turn that was asked for, the end of the load, an alarm.
    assert max(after - before for before, after in pairwise(seen)) <= 3 * 4096


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_a_turn_that_could_not_be_asked_for_is_asked_for_again(error):
    """A RuntimeError is taken for that of a loop which is closed: the next alarm looks."""
    gate = []

    class Still(Odd):
        """No alarm of ours rings."""

        def call_later(self, delay, *args, **named):
            return super().call_later(3600, *args, **named)

    @Hub().cached
    async def function(x):
        gate.append(asyncio.get_running_loop().create_future())
        return await gate[0]

    async def main():
        loop = asyncio.get_running_loop()
        waiting = [asyncio.ensure_future(function(1)) for _ in range(9_000)]
        while len(gate) == 0 or function.stats().coalesced < 8_999:
            await asyncio.sleep(0)
        loop.first["turn"] = raises(error("no room"))
        gate[0].set_result("brought")
        assert await asyncio.gather(*waiting) == ["brought"] * 9_000

    run(main(), Still() if error is MemoryError else Odd())


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_woken_while_an_alarm_is_asked_for_is_polled(fails):
    gates, inner = {}, []

    @Hub().cached
    async def function(x):
        gates[x] = asyncio.get_running_loop().create_future()
        return await gates[x]

    async def main():
        def look_up():
            inner.append(function("inner"))
            inner.append(inner[0].send(None))
            if fails:
                raise MemoryError("no room")

        asyncio.get_running_loop().first["call_later"] = look_up
        outer = asyncio.ensure_future(function("outer"))
        for name in ("inner", "outer"):
            for _ in range(10):
                await asyncio.sleep(0)
            gates[name].set_result(name)
        if fails:
            with pytest.raises(MemoryError):
                await outer
        else:
            assert await outer == "outer"
        while not inner[1].done():
            await asyncio.sleep(0)
        with pytest.raises(StopIteration, match="inner"):
            inner[0].send(None)

    run(main())


def test_an_interrupt_of_who_looks_around_is_raised():
    @Hub().cached
    async def function(x):
        return x

    other = Odd()
    other.run_until_complete(function(1))
    other.first["is_closed"] = raises(KeyboardInterrupt)

    async def main():
        with pytest.raises(KeyboardInterrupt):
            function(2).send(None)
        return await function(3)

    # Not in a task: asyncio ends its loop with that.
    assert run(main()) == 3
    other.run_until_complete(other.shutdown_asyncgens())
    other.close()


def test_an_interrupt_of_a_wake_is_raised_and_the_wake_comes():
    gate, begun = [], threading.Event()

    @Hub().cached
    async def function(x):
        gate.append((asyncio.get_running_loop(), asyncio.get_running_loop().create_future()))
        begun.set()
        return await gate[0][1]

    loads, waits, raised, found = Odd(), Odd(), [], []

    async def lead():
        found.append(await function(1))

    async def follow():
        await asyncio.to_thread(begun.wait)
        follows = asyncio.ensure_future(function(1))
        while not function.stats().coalesced:
            await asyncio.sleep(0.001)
        waits.first["turn"] = raises(KeyboardInterrupt)
        loads.call_soon_threadsafe(gate[0][1].set_result, "brought")
        found.append(await asyncio.wait_for(follows, 10))

    def leader():
        with asyncio.Runner(loop_factory=lambda: loads) as runner:
            try:
                runner.run(lead())
            except KeyboardInterrupt:
                raised.append(threading.current_thread())
                runner.run(lead())

    thread = threading.Thread(target=leader)
    thread.start()
    run(follow(), waits)
    thread.join(30)
    assert raised == [thread]
    assert set(found) == {"brought"}


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
def test_an_interrupt_in_a_load_reaches_its_leader_alone(error, waits):
    calls, begun, follows, found = [], threading.Event(), threading.Event(), []

    @Hub().cached
    async def function(x):
        calls.append(x)
        if len(calls) == 1:
            begun.set()
            if waits:
                while not follows.is_set():
                    await asyncio.sleep(0.001)
            else:
                until(follows.is_set)
            raise error("of the leader")
        return "second"

    def leader():
        with pytest.raises(error, match="of the leader"):
            asyncio.run(lead())

    async def lead():
        return await function(1)

    async def follow():
        lookup = asyncio.ensure_future(function(1))
        while not function.stats().coalesced:
            await asyncio.sleep(0.001)
        follows.set()
        found.append(await lookup)

    thread = threading.Thread(target=leader)
    thread.start()
    until(begun.is_set)
    asyncio.run(asyncio.wait_for(follow(), 30))
    thread.join(30)
    assert found == ["second"]
    assert len(calls) == 2


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("where", ["the loader", "the tags"])
def test_stop_iteration_of_a_load_is_an_error(waits, where):
    class Stops:
        def __format__(self, spec):
            if where == "the tags":
                raise StopIteration("of the load")
            return ""

    class Awaited:
        def __await__(self):
            raise StopIteration("of the load")

    @Hub().cached(tags=["a{result}"])
    async def function(x):
        if waits:
            await asyncio.sleep(0)
        if where == "the loader":
            raise StopIteration("of the load")
        return Stops()

    async def main():
        for _ in range(2):
            with pytest.raises(RuntimeError, match="StopIteration") as told:
                await asyncio.wait_for(function(1), 10)
            assert type(told.value.__cause__) is StopIteration
            with pytest.raises(RuntimeError, match="StopIteration"):
                await function(1)

    run(main())


class Debugged(Odd):
    def get_debug(self):
        return True


class Nested(Odd):
    """As nest_asyncio marks a loop that may run inside its own tasks."""

    _nest_patched = True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [Debugged, Nested])
@pytest.mark.parametrize("error", [None, MemoryError, KeyboardInterrupt])
def test_where_who_waits_is_told_by_a_call_of_the_loop_one_that_fails_is_asked_for_again(kind, error):
    told = []

    @Hub().cached
    async def function(x):
        await asyncio.sleep(0)
        return x

    async def main():
        def tell():
            told.append(1)
            if error:
                raise error("of the loop")

        loop.first["tell"] = tell
        waiting = [asyncio.ensure_future(function(1)) for _ in range(3)]
        await asyncio.wait(waiting)
        # In whose call the loop was asked is told of what it raised.
        return [1 if type(one.exception()) is error else one.result() for one in waiting]

    with asyncio.Runner(loop_factory=kind) as runner:
        loop = runner.get_loop()
        found = loop.create_task(asyncio.wait_for(main(), 30))
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(found)
        assert loop.run_until_complete(found) == [1, 1, 1]
    assert told == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_one_who_is_told_ends_the_loop_and_the_others_go_on(error):
    """They are told in one call of the loop's, one after the other."""
    gate = []

    @Hub().cached
    async def function(x):
        gate.append(asyncio.get_running_loop().create_future())
        return await gate[0]

    async def interrupted():
        await function(1)
        raise error("of one of them")

    async def main():
        while not gate or function.stats().coalesced < 3:
            await asyncio.sleep(0)
        gate[0].set_result("brought")

    with asyncio.Runner(loop_factory=Odd) as runner:
        loop = runner.get_loop()
        waiting = [loop.create_task(one) for one in (function(1), interrupted(), function(1), function(1))]
        with pytest.raises(error, match="of one of them"):
            loop.run_until_complete(main())
            loop.run_until_complete(asyncio.sleep(1))
        others = [waiting[0], *waiting[2:]]
        assert loop.run_until_complete(asyncio.wait_for(asyncio.gather(*others), 10)) == ["brought"] * 3
        assert type(waiting[1].exception()) is error


@pytest.mark.parametrize("answers", [False, True])
def test_an_interrupt_of_who_looks_around_in_an_alarm_is_raised(answers):
    hub, other = Hub(), Odd()

    @hub.cached
    async def slow(x):
        await asyncio.sleep(100)

    async def rest():
        asyncio.ensure_future(slow("there"))
        await asyncio.sleep(0)

    other.run_until_complete(rest())

    async def main():
        waiting = [asyncio.ensure_future(slow("here"))]
        await asyncio.sleep(0)
        if answers:
            waiting.append(asyncio.ensure_future(hub.close("50ms")))
            await asyncio.sleep(0)
        other.first["is_closed"] = raises(KeyboardInterrupt)
        await asyncio.sleep(20)

    with asyncio.Runner(loop_factory=Odd) as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    assert not other.first
    for one in asyncio.all_tasks(other):
        one.cancel()
    other.run_until_complete(asyncio.sleep(0.01))
    other.close()


def test_an_interrupt_of_a_wake_is_the_loops_and_not_of_who_is_told_first():
    """Another thread's loop waits for the same load; to wake it raises, here."""
    begun, gate, found = threading.Event(), [], []

    @Hub().cached
    async def function(x):
        gate.append((asyncio.get_running_loop(), asyncio.get_running_loop().create_future()))
        begun.set()
        return await gate[0][1]

    @Hub().cached
    async def another(x):
        return x

    other = Odd()

    async def follow():
        await asyncio.to_thread(begun.wait)
        follows = asyncio.ensure_future(function(1))
        while not function.stats().coalesced:
            await asyncio.sleep(0.001)
        other.first["turn"] = raises(KeyboardInterrupt)
        gate[0][0].call_soon_threadsafe(gate[0][1].set_result, "brought")
        found.append(await asyncio.wait_for(follows, 20))

    async def innocent():
        found.append(await function(1))
        assert [await another(x) for x in range(3)] == [0, 1, 2]

    thread = threading.Thread(target=run, args=(follow(), other))
    with asyncio.Runner(loop_factory=Odd) as runner:
        loop = runner.get_loop()
        thread.start()
        task = loop.create_task(innocent())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait_for(asyncio.shield(task), 20))
        loop.run_until_complete(asyncio.wait_for(task, 10))
    thread.join(30)
    assert found == ["brought", "brought"]


@pytest.mark.parametrize("is_known", [False, True])
def test_a_loop_that_runs_inside_a_task_that_was_told_tells_its_others(is_known, monkeypatch):
    """As nest_asyncio has it, whose import says so; known or not."""

    @Hub().cached
    async def function(x):
        await asyncio.sleep(0)
        return x

    def nested(coroutine):
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        asyncio.tasks._leave_task(loop, current)
        try:
            task = loop.create_task(coroutine)
            end = time.monotonic() + 20
            while not task.done():
                assert time.monotonic() < end
                loop._run_once()
        finally:
            asyncio.tasks._enter_task(loop, current)
        return task.result()

    async def plain(x):
        return await function(x)

    async def main():
        assert await function(1) == 1
        if is_known:
            monkeypatch.setitem(sys.modules, "nest_asyncio", sys)
        assert await function(2) == 2
        assert nested(plain(3)) == 3
        assert await function(4) == 4

    run(main())


def test_a_second_await_of_a_lookup_is_refused_and_the_first_goes_on():
    @Hub().cached
    async def function(x):
        await asyncio.sleep(0.01)
        return x

    async def main():
        lookup = function(1)

        async def one():
            return await lookup

        first, second = await asyncio.wait_for(asyncio.gather(one(), one(), return_exceptions=True), 10)
        assert first == 1 and type(second) is RuntimeError

    run(main())


def test_what_was_asked_and_never_awaited_is_told_to_the_loop_if_it_fails():
    told = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
        hub = Hub(f"redis://127.0.0.1:{free_port()}")
        asked = hub.invalidate_tag("tag")
        with pytest.raises(tierce.StoreError):
            await hub.invalidate_tag("tag")
        del asked
        while not told:
            await asyncio.sleep(0.01)

    run(main())
    assert [type(one) for one in told] == [tierce.StoreError]


def test_a_lookup_that_a_store_answers_takes_one_turn_of_the_loop(tmp_path):
    turns = []

    class Counts(selectors.DefaultSelector):
        def select(self, timeout=None):
            turns.append(timeout)
            return super().select(timeout)

    server = Redis(tmp_path)

    @Hub(server.url, store_budget="10s").cached(key="x:{x}", maxsize=1)
    async def function(x) -> int:
        return x

    async def main():
        for x in range(20):
            assert await function(x) == x
        before = len(turns)
        for x in range(200):
            assert await function(x % 20) == x % 20
        # Beside the lookups the connection's beats and the alarms have turns.
        assert 200 <= len(turns) - before < 260

    try:
        run(main(), asyncio.SelectorEventLoop(Counts()))
    finally:
        server.kill()


def test_who_is_told_has_his_own_context_and_is_the_current_task():
    mine = contextvars.ContextVar("mine")

    @Hub().cached
    async def function(x):
        await asyncio.sleep(0)
        return x

    async def one(number):
        mine.set(number)
        for x in range(5):
            assert await function(x) == x
            assert mine.get() == number
            assert asyncio.current_task().get_name() == str(number)

    async def main():
        await asyncio.gather(*[asyncio.create_task(one(number), name=str(number)) for number in range(20)])

    run(main())


def test_who_is_answered_and_cancelled_at_once_is_cancelled():
    gate, told = [], []

    @Hub().cached
    async def function(x):
        gate.append(asyncio.get_running_loop().create_future())
        return await gate[0]

    async def first():
        await function(1)
        told.append(second.cancel("by the first"))

    async def waits():
        try:
            return await function(1)
        except asyncio.CancelledError as error:
            told.append(error.args)
            raise

    async def main():
        nonlocal second
        others = [asyncio.ensure_future(first())]
        second = asyncio.ensure_future(waits())
        third = asyncio.ensure_future(waits())
        while not gate or function.stats().coalesced < 2:
            await asyncio.sleep(0)
        third.cancel("while it waits")
        gate[0].set_result("brought")
        await asyncio.wait([second, third, *others])
        assert second.cancelled() and third.cancelled()
        assert await function(1) == "brought"

    second = None
    run(main())
    assert sorted(map(str, told)) == ["('by the first',)", "('while it waits',)", "True"]


def test_what_a_lookup_yields_is_for_a_task():
    @Hub().cached
    async def function(x):
        await asyncio.sleep(10)

    async def main():
        lookup = function(1)
        future = lookup.send(None)
        assert not future.done() and future.get_loop() is asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="for a task to wait for"):
            lookup.send(None)
        lookup = function(1)
        future = lookup.send(None)
        assert future.cancel() and future.cancelled() and future.done() and not future.cancel()
        with pytest.raises(asyncio.CancelledError):
            future.result()
        lookup.close()

    run(main())


def test_values_that_end_generators_are_values():
    values = [StopIteration(), StopIteration(1), StopAsyncIteration(2), GeneratorExit(), KeyError(3), (), (1,), None]
    for waits in (False, True):

        @Hub().cached
        async def function(at):
            if waits:
                await asyncio.sleep(0)
            return values[at]

        async def plain(at):
            return await function(at)

        async def main():
            for at, value in enumerate(values):
                for ask in (function, plain, lambda at: asyncio.create_task(function(at)), function.refresh):
                    assert await ask(at) is value
                    await function.invalidate(at)
                    assert await ask(at) is value
                    await function.set(value, at)
                    assert await ask(at) is value

        run(main())


def factories():
    yield "a factory", lambda loop, coroutine, **named: asyncio.Task(coroutine, loop=loop, **named)
    yield "one that takes no context", lambda loop, coroutine: asyncio.Task(coroutine, loop=loop)
    if hasattr(asyncio, "eager_task_factory"):
        yield "the eager one", asyncio.eager_task_factory


@pytest.mark.parametrize("factory", [pytest.param(factory, id=name) for name, factory in factories()])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
def test_a_loops_task_factory_makes_the_tasks_of_loads(factory, waits):
    made = []

    def counts(loop, coroutine, **named):
        made.append(getattr(coroutine, "__name__", "?"))
        return factory(loop, coroutine, **named)

    @Hub().cached
    async def function(x):
        if waits:
            await asyncio.sleep(0)
        return (x, asyncio.current_task() is not None)

    async def main():
        asyncio.get_running_loop().set_task_factory(counts)
        assert await function(1) == (1, True)
        with pytest.raises(tierce.CycleError):
            await itself(1)

    @Hub().cached
    async def itself(x):
        await asyncio.sleep(0)
        return await itself(x)

    run(main())
    assert made.count("function") == 1
    assert made.count("itself") == 1


def test_a_loop_with_a_create_task_of_its_own_makes_the_tasks_of_loads():
    made = []

    class Traces(asyncio.SelectorEventLoop):
        def create_task(self, coroutine, **named):
            made.append(getattr(coroutine, "__name__", "?"))
            return super().create_task(coroutine, **named)

    @Hub().cached
    async def function(x):
        return x

    async def main():
        assert await function(1) == 1

    run(main(), Traces())
    assert "function" in made


def test_wrong_things_given_to_the_glue_are_errors():
    child("""
        import tierce
        from tierce._tierce import Cached, Hub, testing

        async def function(x): ...

        class Fake:
            _hub = 5
            def _name(self, name, function): return "name"

        told = ("x",), 1, 0, (5,), False, False
        for call in (lambda: testing.from_thread(5), lambda: testing.from_thread(()), lambda: tierce.cached(hub=5)(function),
                     lambda: tierce.cached(hub=Fake())(function), lambda: tierce.cached(hub=tierce.Hub)(function),
                     lambda: Cached(*[5] * 12), lambda: Cached(Hub(), *[None] * 11),
                     lambda: Cached(Hub(), "n", function, told, 0, (7,), [], *[None] * 5)):
            try:
                call()
            except TypeError as error:
                assert "internal" not in str(error), error
            else:
                raise AssertionError("taken")
    """)
