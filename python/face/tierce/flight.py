"""Loads of plain functions: one thread runs the function, the others wait for it."""

import os
from _thread import allocate_lock, get_ident
from contextvars import ContextVar, copy_context
from weakref import WeakSet

from .errors import CycleError

PENDING = object()
"""The value of a flight that has not ended."""

LEAD, JOIN, HIT, REFRESH = range(4)
"""What Memo._board says."""

loading = ContextVar("tierce.loading", default=None)
"""The flight whose load runs here, threads and tasks that it began included if they have its context."""

memos = WeakSet()
"""All that may have flights: a child process has none of the threads and loops that lead them."""


def innermost():
    """The flight whose load asks for something now, or None."""
    flight = loading.get()
    return None if flight is None or flight.done else flight


class Waits:
    """What a load waits for, so that a circle of loads is an error and no standstill.

    A load waits for what it asks for itself. What a task or a thread asks for that it began, it waits for if it waits for
    that one, now or later, and nothing tells: asyncio says of a task neither who awaits it nor who will, and of a thread
    nobody knows. To join would mean to stand still for ever where it does, as in `await asyncio.gather(source(x))` within
    the load of x. So it counts as waiting, and where a circle is one by that alone, the error says so and what to do. Without
    the load's context such a task is nobody's: it joins.
    """

    # `waits` is what it asks for itself, `begun` what is asked for by what it began: lists of those who derive from this.
    __slots__ = ()

    def waited_for(self):
        """Where to write what is asked for here, in the context of this load."""
        return self.waits if self.asks_itself() else self.begun

    def leads_to(self, other, certainly=False):
        """Whether this load waits, at once or through others, for the other one."""
        seen, open_ = {self}, [self]
        while open_:
            flight = open_.pop()
            if flight is other:
                return True
            for next_ in flight.waits[:] if certainly else flight.waits + flight.begun:
                if next_ not in seen and not next_.done:
                    seen.add(next_)
                    open_.append(next_)
        return False


def cycle(name, parent, found):
    """The error of a load, parent, in whose context somebody asks for what leads back to it."""
    if parent is None or parent.asks_itself() and found.leads_to(parent, certainly=True):
        return CycleError(
            f"{name} waits for itself: its load asks, at once or through others, for the key that it loads"
        )
    return CycleError(
        f"{name} may wait for itself: a task or thread that its load began asks, at once or through others, for the key "
        "that it loads, and whether the load waits for that one cannot be told. If it does not, begin it without the "
        "context of the load: asyncio.create_task(..., context=contextvars.Context())"
    )


class Flight(Waits):
    """One load of a key by a thread."""

    __slots__ = ("waits", "begun", "gate", "value", "error", "traceback", "thread", "queued")

    def __init__(self):
        self.waits, self.begun = [], []
        # Closed until the load has ended. What it brings is written, and the gate opened, in C (`load.rs`).
        self.gate = allocate_lock()
        self.gate.acquire()
        self.value = PENDING
        self.error = PENDING
        # What the error had when it was new: each who raises it begins from there.
        self.traceback = None
        # None as long as it is nobody's; then Memo._claim says whose it is.
        self.thread = get_ident()
        # Of a refresh: how to run it, for whoever comes first.
        self.queued = None

    @property
    def done(self):
        return self.value is not PENDING or self.error is not PENDING

    def asks_itself(self):
        """Whether what asks here is the load itself, and nothing that it began."""
        return self.thread == get_ident()


def board():
    """A flight for what asks here, the load that asks, and the list in which it writes what it waits for."""
    parent = innermost()
    return Flight(), parent, None if parent is None else parent.waited_for()


def wait(memo, found, parent):
    """Waits for another's load; False if it brought nothing and we have to look again."""
    asked = [] if parent is None else parent.waited_for()
    # Written before it is looked for a circle: of two loads that wait for each other, one sees it.
    try:
        asked.append(found)
        circle = parent is not None and found.leads_to(parent)
        if (circle or found.thread == get_ident()) and not found.done:
            raise cycle(memo.__qualname__, parent if circle else None, found)
        queued = found.queued
        if queued is not None:
            # No worker has begun it, and all may wait for what is queued: so we run it.
            queued.run()
        with found.gate:
            pass
    finally:
        if found in asked:
            asked.remove(found)
    if found.error is PENDING:
        return True
    error = found.error
    try:
        if isinstance(error, Exception):
            # One failure for all who waited; another begins anew.
            raise error.with_traceback(found.traceback)
    finally:
        # An exception's traceback has this frame, and the flight the exception.
        del error, found
    # The thread that ran it was told to end (KeyboardInterrupt, SystemExit): that is for nobody else.
    return False


FACE = (board, wait, loading.get, loading.set)
"""What the load of a plain function, which is C, asks of us (`load.rs`)."""

_workers = None


def behind(memo, key, flight, args, kwargs):
    """Begins a load that nobody waits for, on one of a few threads; where none can be had, the load ends."""
    global _workers
    queued = _Queued(memo, key, flight, args, kwargs)
    # Nobody's, until somebody begins it: whoever asks for it meanwhile runs it himself.
    flight.thread = None
    flight.queued = queued
    try:
        if _workers is None:
            from .workers import Workers

            _workers = Workers()
        _workers.submit(queued.run)
    except Exception as error:
        from .workers import is_ending

        if memo._give_up(key, flight, error) and not is_ending():
            report(memo, error)


class _Queued:
    """A refresh that a worker has been given, and that is run once: by him or by one who waits for it."""

    __slots__ = ("call", "context")

    def __init__(self, memo, key, flight, args, kwargs):
        self.call = (memo, key, flight, args, kwargs)
        self.context = copy_context()
        self.context.run(loading.set, flight)

    def run(self):
        memo, key, flight, args, kwargs = self.call
        try:
            if memo._claim(flight):
                flight.queued = None
                self.context.run(_refresh, memo, key, flight, args, kwargs)
        except BaseException as error:
            # A signal's handler raised: nobody else will run it, so that it has to end here unless it has already.
            memo._give_up(key, flight, error)
            raise


def _refresh(memo, key, flight, args, kwargs):
    try:
        memo._run(key, flight, args, kwargs)
    except Exception as error:
        report(memo, error)


def report(memo, error):
    """Says that a load which nobody waited for has failed; the stale value is served for as long as it may be."""
    import logging

    logging.getLogger("tierce").warning("a refresh of %s failed", memo.__qualname__, exc_info=error)


def _after_fork():
    global _workers
    _workers = None
    for memo in list(memos):
        memo._ground()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
