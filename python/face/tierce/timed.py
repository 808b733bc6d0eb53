"""Bounded mappings whose entries end: cachetools' TTLCache and TLRUCache, safe among threads."""

import heapq
import time
from collections import OrderedDict
from operator import itemgetter

from .bounded import END, KEY, NUMBER, VALUE, callable_as
from .duration import milliseconds
from .ordered import LRUCache, first
from .step import NOTHING, step

__all__ = ["TLRUCache", "TTLCache"]


class _Timer:
    """A clock that stands still during a step, and while it is entered, so that one operation has one time."""

    def __init__(self, timer):
        self._timer = timer
        self._nested = 0
        self._time = None
        self.held = NOTHING

    def __call__(self):
        if self.held is not NOTHING:
            return self.held
        return self._time if self._nested else self._timer()

    def __enter__(self):
        if self._nested == 0:
            self._time = self()
        self._nested += 1
        return self._time

    def __exit__(self, *_):
        self._nested -= 1

    def __reduce__(self):
        return _Timer, (self._timer,)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._timer, name)


class _Timed(LRUCache):
    """What TTLCache and TLRUCache share: entries with an end, least recently used first where there is no room."""

    def __init__(self, maxsize, timer, getsizeof, listener):
        self._timer = _Timer(callable_as("timer", timer))
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def timer(self):
        """The clock; monotonic unless said otherwise."""
        return self._timer

    def _begin_step(self):
        self._timer.held = self._timer()
        if self._torn:
            self._renew()

    def _live(self, key):
        entry = self._data.get(key)
        return entry if entry is not None and self._timer() < entry[END] else None

    def _purge(self):
        self._expire(self._timer())

    def _overdue(self, time):
        """An entry that has expired by a time, or None."""
        raise NotImplementedError

    @step
    def expire(self, time=None):
        """Takes out what has expired by a time, now unless given; gives it as (key, value) pairs."""
        time = self._timer() if time is None else time
        return self._expire(time)

    def _expire(self, time):
        gone = []
        while True:
            turn = self._turn
            if self._torn:
                self._renew()
            entry = self._overdue(time)
            if entry is None:
                return gone
            taken = self._take_chosen(entry[KEY], turn)
            if taken is not None and taken is not entry:
                # A guest had put another in its place, which goes back.
                self._put(*taken[:NUMBER], taken[END])
            elif taken is not None:
                gone.append((taken[KEY], taken[VALUE]))
                self._leaves(taken[KEY], taken[VALUE], "expire")

    def __getstate__(self):
        state = super().__getstate__()
        state["_timer"] = _Timer(self._timer._timer)
        return state


class TTLCache(_Timed):
    """A bounded mapping whose entries live for `ttl`; the least recently used go where there is no room.

        cache = TTLCache(maxsize=10_000, ttl="5m")
        cache["key"] = "value"
        cache.get("key")             # "value", for five minutes

    ttl: seconds, or "5m", or a timedelta; in what the timer counts where one is given.
    """

    _containers = ("_data", "_order", "_ends")

    def __init__(self, maxsize, ttl, timer=time.monotonic, getsizeof=None, *, listener=None):
        if isinstance(ttl, str) or (timer is time.monotonic and hasattr(ttl, "total_seconds")):
            ttl = milliseconds(ttl, "ttl") / 1000
        self._ttl = _addable(ttl, timer)
        # In the order of their ends: those that are set again go to the back.
        self._ends = OrderedDict()
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttl(self):
        """How long an entry lives."""
        return self._ttl

    def _derive(self, entries):
        super()._derive(entries)
        self._ends = OrderedDict((entry[NUMBER], entry) for entry in sorted(entries.values(), key=itemgetter(END)))

    @step
    def _set(self, key, value, size):
        super()._set(key, value, size, self._timer() + self._ttl)

    def _added(self, entry, older):
        super()._added(entry, older)
        if older is not None:
            self._ends.pop(older[NUMBER], None)
        self._ends[entry[NUMBER]] = entry

    def _removed(self, entry):
        super()._removed(entry)
        self._ends.pop(entry[NUMBER], None)

    def _overdue(self, time):
        entry = first(self._ends)
        return entry if entry is not None and not time < entry[END] else None


def _addable(ttl, timer):
    """The ttl, of which is known that the timer's time goes on by it."""
    if isinstance(ttl, (int, float)):
        return ttl
    now = timer()
    try:
        now + ttl
    except OverflowError:
        pass  # as each set will say
    except TypeError:
        raise TypeError(
            f"ttl={ttl!r} cannot be added to the timer's {now!r}: write seconds, \"5m\" or, where the timer is "
            "time.monotonic, a timedelta"
        ) from None
    return ttl


class TLRUCache(_Timed):
    """A bounded mapping whose entries live until the time that `ttu(key, value, now)` gives for each.

    ttu: runs with the mapping's lock held, so that its now is the time of the operation.
    """

    _containers = ("_data", "_order", "_heap")

    def __init__(self, maxsize, ttu, timer=time.monotonic, getsizeof=None, *, listener=None):
        self._ttu = callable_as("ttu", ttu)
        # Ends, with the numbers and the entries they are of. What is no entry's end any more is passed over.
        self._heap = []
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttu(self):
        """What says how long an entry lives."""
        return self._ttu

    def _derive(self, entries):
        super()._derive(entries)
        heap = [(entry[END], number, entry) for number, entry in entries.items()]
        heapq.heapify(heap)
        self._heap = heap

    @step
    def _set(self, key, value, size):
        now = self._timer()
        end = self._ttu(key, value, now)
        if now < end:
            super()._set(key, value, size, end)
            return
        # It has expired already, and so has what it replaces.
        self._purge()
        self._take(key)

    def _added(self, entry, older):
        super()._added(entry, older)
        heap, order = self._heap, self._order
        heapq.heappush(heap, (entry[END], entry[NUMBER], entry))
        if len(heap) > 2 * len(order) + 16:
            heap = [one for one in heap if one[1] in order]
            heapq.heapify(heap)
            self._heap = heap

    def _overdue(self, time):
        while True:
            turn = self._turn
            if self._torn:
                self._renew()
            heap = self._heap
            end, number, entry = heap[0] if heap else (None, None, None)
            if entry is None or time < end:
                return None
            if number in self._order:
                return entry
            self._torn = True
            # A guest may have taken it out before.
            if heap:
                heapq.heappop(heap)
            self._torn = turn != self._turn
