"""Loads of async functions: one task runs the function, those who want its value wait for it, on any loop."""

import asyncio
import os
import sys
from _thread import allocate_lock
from contextvars import copy_context

from .errors import LoadCancelledError
from .flight import HIT, LEAD, PENDING, REFRESH, Waits, cycle, innermost, loading, report

EAGER = sys.version_info >= (3, 12)
"""A task may run up to its first wait when it is made."""

RECHECK_S = 0.1
"""How often those who wait for a load on another loop look whether that loop still turns."""

SILENT = 4
"""So many looks without a turn of that loop, and it stands still. A loop that works for 100 ms on end is one that asyncio itself
complains of (`slow_callback_duration`), but not dead; several times that is. Who errs has the function run once more."""

_running = set()
"""Flights whose tasks run: a loop itself holds its tasks weakly."""

_of_parent = []
"""What ran when the process was forked: kept, since tasks that go while they are pending complain."""


def _after_fork():
    _of_parent.extend(_running)
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class AsyncFlight(Waits):
    """One load of a key by a task of a loop."""

    __slots__ = (
        "abandoned", "asked", "begun", "behind", "error", "held", "key", "left", "lock", "loop", "memo", "over", "task",
        "traceback", "turns", "value", "waiting", "waits",
    )  # fmt: skip

    def __init__(self, memo, key, loop):
        self.waits, self.begun = [], []
        self.memo = memo
        self.key = key
        self.loop = loop
        self.task = None
        self.value = PENDING
        self.error = None
        # What the error had when it was new: each who raises it begins from there.
        self.traceback = None
        self.over = False
        # All who waited have left: nobody may join any more.
        self.left = False
        # Its loop stood still: all look again, whoever began it included.
        self.abandoned = False
        # Futures, and the loops they are of.
        self.waiting = {}
        # Whoever leads it does not wait yet: until then nobody who leaves is the last.
        self.held = True
        self.lock = allocate_lock()
        self.behind = False
        # Whether its loop has been asked to turn and has not, and how often it did when it was asked.
        self.asked = False
        self.turns = 0

    @property
    def done(self):
        return self.over

    def asks_itself(self):
        """Whether what asks here is the load itself, and nothing that it began."""
        # Before begin has the task in hand, it runs the load up to its first wait.
        return asyncio._get_running_loop() is self.loop and self.task in (None, asyncio.current_task(self.loop))

    # A signal's handler may raise between any two calls. So each of these can be called again, and goes on where it was: by who
    # began the load (`forsake`), by the task, which has two callbacks, and by whoever finds the flight later (`mend`).

    def begin(self, args, kwargs, behind):
        """Starts the load, on the loop of whoever calls, in a copy of his context."""
        self.behind = behind
        context = copy_context()
        context.run(loading.set, self)
        coroutine = None
        try:
            _running.add(self)
            factory = self.loop.get_task_factory()
            if behind:
                # Whoever calls has his value: nothing of the load is to run before his next wait.
                coroutine = _in_its_own_turn(self.memo.__wrapped__, args, kwargs, factory is not None)
                coroutine.__qualname__ = f"{self.memo.__qualname__}"
            else:
                coroutine = context.run(self.memo.__wrapped__, *args, **kwargs)
            if EAGER and not behind and factory is None:
                self.task = asyncio.Task(coroutine, loop=self.loop, context=context, eager_start=True)
            else:
                self.task = self.loop.create_task(coroutine, context=context)
            if self.task.done():
                self._finish(self.task)
            else:
                self.task.add_done_callback(self._finish)
                # Once more, for one that is interrupted.
                self.task.add_done_callback(self._finish)
        except BaseException as error:
            self._report(error)
            self._end(PENDING, error)
            self._stop(coroutine)
            if self.error is not error or behind and not isinstance(error, Exception):
                raise

    def _stop(self, coroutine):
        """Of a load that could not be begun: nothing of it goes on."""
        if coroutine is None or self.task is not None and self.task.done():
            return
        task = self.task
        if task is None:
            # It may have been made, and the interruption have come before it was in hand.
            task = next((one for one in asyncio.all_tasks(self.loop) if one.get_coro() is coroutine), coroutine)
        getattr(task, "cancel", getattr(task, "close", bool))()

    def forsake(self):
        """Of whoever boarded it and is interrupted, or cancelled: the load is his no more."""
        if self.over:
            self._end(self.value, self.error)
        elif self.task is None:
            self.abandoned = True
            self._end(PENDING, None)
        elif not self.behind:
            self.held = False
            self._leave(self.loop, None)

    def mend(self, loop):
        """Ends what an interruption has left in the middle, so that it is in nobody's way; whether there was something."""
        if self.over or self.left or self.loop is None:
            self._end(PENDING, None)
            return True
        if self.loop is loop and self.task is not None and self.task.done():
            self._finish(self.task)
            return True
        return False

    def _finish(self, task):
        value, error = self.value, self.error
        if not self.over and not task.cancelled():
            try:
                error = task.exception()
                if error is None:
                    value = self._landed(task.result())
            except Exception as failure:
                error = failure
            except BaseException:
                # A signal's handler: that is for the loop, and who waits looks again.
                self.abandoned = True
                self._end(PENDING, None)
                raise
            if error is not None:
                self._report(error)
        self._end(value, error)

    def _landed(self, value):
        weight = 1
        if self.memo._keep is not None:
            value, weight = self.memo._keep(value)
        self.memo._land(self.key, self, value, weight)
        return value

    def _report(self, error):
        """Of a load that nobody waits for."""
        if self.behind and isinstance(error, Exception):
            report(self.memo, error)

    def _end(self, value, error):
        """Publishes what the load brought: a value, an error, or neither when it was given up."""
        try:
            if value is PENDING:
                self.memo._leave(self.key, self)
        finally:
            with self.lock:
                if not self.over:
                    self.traceback = None if error is None else error.__traceback__
                    self.value, self.error, self.over = value, error, True
            # Nobody comes any more.
            for future, loop in list(self.waiting.items()):
                _wake(loop, future)
                self.waiting.pop(future, None)
            _running.discard(self)

    async def wait(self, loop, parent, leads):
        """Returns when the load is over, or was given up. A caller who is cancelled leaves, and nobody else."""
        future = loop.create_future()
        asked = [] if parent is None else parent.waited_for()
        try:
            with self.lock:
                if self.over or self.left:
                    return
                self.waiting[future] = loop
                self.held = self.held and not leads
            asked.append(self)
            if parent is not None and self.leads_to(parent) and not self.over:
                raise cycle(self.memo.__qualname__, parent, self)
            if loop is self.loop:
                await future
            else:
                await self._wait_elsewhere(future)
        finally:
            if self in asked:
                asked.remove(self)
            if not self.over:
                self._leave(loop, future)

    async def _wait_elsewhere(self, future):
        """Waits for a load on another loop, for as long as that loop turns.

        That it says of itself that it runs is not enough: what it runs may be waiting for us, without letting it turn. So
        it is asked to do something, by one for all who wait, and only once it has kept somebody waiting.
        """
        turns, silent = self.turns, 0
        while True:
            await asyncio.wait((future,), timeout=RECHECK_S)
            if future.done():
                return
            if self.turns != turns:
                turns, silent = self.turns, 0
            elif self.asked:
                silent += 1
            if silent >= SILENT or not self._ask():
                # A loop that stands still brings nothing: whoever waits begins anew.
                self.abandoned = True
                self._end(PENDING, None)
                self._cancel(None)
                return

    def _ask(self):
        """Asks the loop of the load to turn, if nobody has; whether it runs at all."""
        if not self.loop.is_running():
            return False
        if not self.asked:
            self.asked = True
            try:
                self.loop.call_soon_threadsafe(self._turn)
            except RuntimeError:
                return False  # it was closed meanwhile
        return True

    def _turn(self):
        self.turns += 1
        self.asked = False
        if self.task is not None and self.task.done():
            self._finish(self.task)

    def _leave(self, loop, future):
        with self.lock:
            self.waiting.pop(future, None)
            if self.waiting or self.over or self.left or self.behind or self.held:
                return
            self.left = True
        # The last has left. Who comes from now on begins anew.
        try:
            self.memo._leave(self.key, self)
        finally:
            self._cancel(loop)

    def _cancel(self, loop):
        if self.task is None:
            return
        if loop is self.loop:
            self.task.cancel()
            return
        try:
            self.loop.call_soon_threadsafe(self.task.cancel)
        except RuntimeError:
            pass  # the loop is closed, and its tasks with it


async def _in_its_own_turn(function, args, kwargs, waits):
    if waits:
        # A task factory may have begun us at once.
        await asyncio.sleep(0)
    return await function(*args, **kwargs)


def _wake(loop, future):
    try:
        if loop is asyncio._get_running_loop():
            _set(future)
        else:
            loop.call_soon_threadsafe(_set, future)
    except RuntimeError:
        pass  # the loop is closed: nobody waits there


def _set(future):
    if not future.done():
        future.set_result(None)


def load(memo, key, args, kwargs, renew=False):
    """The value of a key that memory does not have: by a load of our own, or by one that runs already."""
    coroutine = _load(memo, key, args, kwargs, renew)
    # What Python says of one that nobody awaits, and asyncio of a task, is to be read by who has written the function.
    coroutine.__qualname__ = f"{memo.__qualname__}"
    return coroutine


async def _load(memo, key, args, kwargs, renew):
    loop = asyncio._get_running_loop()
    if loop is None:
        return _without_loop(memo, key, renew)
    parent = innermost()
    while True:
        if memo._closed:
            raise RuntimeError(memo._closed)
        flight = AsyncFlight(memo, key, loop)
        try:
            said, found = memo._board(key, flight, renew)
            if said == HIT:
                return found
            if said == REFRESH:
                flight.begin(args, kwargs, True)
                return found
            leads = said == LEAD
            if leads:
                found = flight
                flight.begin(args, kwargs, False)
            elif found.mend(loop):
                continue
            if not found.over:
                await found.wait(loop, parent, leads)
        except BaseException:
            flight.forsake()
            raise
        try:
            if found.value is not PENDING:
                return memo._copied(found.value)
            if (leads and not found.abandoned) or isinstance(found.error, Exception):
                # One failure for all who waited; another begins anew.
                if found.error is None:
                    raise LoadCancelledError(f"the load of {memo.__qualname__} was cancelled")
                raise found.error.with_traceback(found.traceback)
        finally:
            # An exception's traceback has this frame, and the flight the exception.
            del flight, found


def _without_loop(memo, key, renew):
    """What memory has, stale or not: nothing can be loaded here."""
    flight = AsyncFlight(memo, key, None)
    try:
        said, found = memo._board(key, flight, renew)
    finally:
        flight._end(PENDING, None)
    if said in (HIT, REFRESH):
        return found
    raise RuntimeError(_no_loop(memo))


def _no_loop(memo):
    if "trio" in sys.modules:
        return (
            f"{memo.__qualname__} is not in memory, and its load needs a running asyncio loop: under trio "
            "values that are in memory are served, and what is missing is to be loaded through trio-asyncio"
        )
    return f"{memo.__qualname__} is not in memory, and its load needs a running asyncio loop"
