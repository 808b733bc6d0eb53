"""Bounded mappings whose entries end: cachetools' TTLCache and TLRUCache, safe among threads."""

import heapq
import time
from collections import OrderedDict

from .duration import milliseconds
from .mapping import _NOTHING, LRUCache, step

__all__ = ["TLRUCache", "TTLCache"]


class _Timer:
    """A clock that stands still during a step, and while it is entered, so that one operation has one time."""

    def __init__(self, timer):
        self._timer = timer
        self._nested = 0
        self._time = None
        self.held = _NOTHING

    def __call__(self):
        if self.held is not _NOTHING:
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
        self._timer = _Timer(timer)
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def timer(self):
        """The clock; monotonic unless said otherwise."""
        return self._timer

    def _begin_step(self, left):
        self._timer.held = self._timer()
        super()._begin_step(left)

    def _holds(self, key):
        entry = self._data.get(key)
        return entry is not None and self._timer() < entry[2]

    def _purge(self):
        self.expire(self._timer())

    @step
    def expire(self, time=None):
        """Takes out what has expired by a time, now unless given; gives it as (key, value) pairs."""
        time = self._timer() if time is None else time
        gone = []
        for key in self._expired(time):
            value = self._take(key)
            gone.append((key, value))
            self._leaves(key, value, "expire")
        return gone

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
        self._ttl = ttl
        # In the order of their ends: those that are set again go to the back.
        self._ends = OrderedDict()
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttl(self):
        """How long an entry lives."""
        return self._ttl

    def _derive(self):
        super()._derive()
        self._ends = OrderedDict.fromkeys(sorted(self._data, key=lambda key: self._data[key][2]))

    @step
    def _set(self, key, value, size):
        super()._set(key, value, size, self._timer() + self._ttl)

    def _added(self, key, entry):
        super()._added(key, entry)
        self._ends[key] = None
        self._ends.move_to_end(key)

    def _removed(self, key):
        super()._removed(key)
        del self._ends[key]

    def _expired(self, time):
        gone = []
        for key in self._ends:
            if time < self._data[key][2]:
                break
            gone.append(key)
        return gone


class TLRUCache(_Timed):
    """A bounded mapping whose entries live until the time that `ttu(key, value, now)` gives for each."""

    _containers = ("_data", "_order", "_heap")

    def __init__(self, maxsize, ttu, timer=time.monotonic, getsizeof=None, *, listener=None):
        self._ttu = ttu
        # Ends, with numbers that keep keys from being compared. What is no key's end any more is passed over.
        self._heap = []
        self._number = 0
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttu(self):
        """What says how long an entry lives."""
        return self._ttu

    def _derive(self):
        super()._derive()
        self._heap = [(entry[2], number, key) for number, (key, entry) in enumerate(self._data.items())]
        self._number = len(self._heap)
        heapq.heapify(self._heap)

    @step
    def _set(self, key, value, size):
        now = self._timer()
        end = self._ttu(key, value, now)
        if now < end:
            super()._set(key, value, size, end)
            return
        # It has expired already, and so has what it replaces.
        self._purge()
        if key in self._data:
            self._take(key)

    def _added(self, key, entry):
        super()._added(key, entry)
        self._number += 1
        heapq.heappush(self._heap, (entry[2], self._number, key))
        if len(self._heap) > 2 * len(self._data) + 16:
            self._heap = [one for one in self._heap if self._stands(one)]
            heapq.heapify(self._heap)

    def _stands(self, one):
        end, _, key = one
        entry = self._data.get(key)
        return entry is not None and entry[2] == end

    def _expired(self, time):
        while self._heap and not time < self._heap[0][0]:
            one = self._heap[0]
            if self._stands(one):
                # Whoever asks takes it out before he asks for the next.
                yield one[2]
            self._torn = True
            heapq.heappop(self._heap)
            self._torn = False
