"""Bounded mappings whose entries end: cachetools' TTLCache and TLRUCache, safe among threads."""

import heapq
import time

from .duration import milliseconds
from .mapping import _NOTHING, LRUCache, _Step

__all__ = ["TLRUCache", "TTLCache"]


class _Timer:
    """A clock that stands still while it is entered, so that one operation has one time."""

    def __init__(self, timer):
        self._timer = timer
        self._nested = 0
        self._time = None

    def __call__(self):
        return self._time if self._nested else self._timer()

    def __enter__(self):
        if self._nested == 0:
            self._time = self._timer()
        self._nested += 1
        return self._time

    def __exit__(self, *_):
        self._nested -= 1

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._timer, name)


class _Timed(LRUCache):
    """What TTLCache and TLRUCache share: entries with an end, least recently used first where there is no room."""

    _containers = ("_data", "_sizes", "_order", "_ends")

    def __init__(self, maxsize, timer, getsizeof, listener):
        self._ends = {}
        self._timer = _Timer(timer)
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def timer(self):
        """The clock; monotonic unless said otherwise."""
        return self._timer

    def _step(self):
        return _TimedStep(self)

    def _holds(self, key):
        return key in self._data and self._timer() < self._ends[key]

    def _removed(self, key):
        super()._removed(key)
        del self._ends[key]

    def _purge(self):
        self.expire(self._timer())

    def expire(self, time=None):
        """Takes out what has expired by a time, now unless given; gives it as (key, value) pairs."""
        with self._step():
            time = self._timer() if time is None else time
            gone = []
            for key in self._expired(time):
                value = self._take(key)
                gone.append((key, value))
                self._tell(key, value, "expire")
            return gone

    def clear(self):
        """Takes everything out; the listener is not told."""
        with self._step():
            for key in list(self._data):
                self._take(key)

    def __getstate__(self):
        state = super().__getstate__()
        state["_timer"] = _Timer(self._timer._timer)
        return state


class _TimedStep(_Step):
    __slots__ = ()

    def __enter__(self):
        super().__enter__()
        try:
            self.of._timer.__enter__()
        except BaseException:
            self.of._leave()
            raise

    def __exit__(self, *_):
        self.of._timer.__exit__()
        self.of._leave()


class TTLCache(_Timed):
    """A bounded mapping whose entries live for `ttl`; the least recently used go where there is no room.

        cache = TTLCache(maxsize=10_000, ttl="5m")
        cache["key"] = "value"
        cache.get("key")             # "value", for five minutes

    ttl: seconds, or "5m", or a timedelta; in what the timer counts where one is given.
    """

    _containers = ("_data", "_sizes", "_order", "_ends")

    def __init__(self, maxsize, ttl, timer=time.monotonic, getsizeof=None, *, listener=None):
        if isinstance(ttl, str) or (timer is time.monotonic and hasattr(ttl, "total_seconds")):
            ttl = milliseconds(ttl, "ttl") / 1000
        self._ttl = ttl
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttl(self):
        """How long an entry lives."""
        return self._ttl

    def __setitem__(self, key, value):
        with self._step():
            end = self._timer() + self._ttl
            super().__setitem__(key, value)
            # In the order of their ends: those that are set again go to the back.
            self._ends.pop(key, None)
            self._ends[key] = end

    def _removed(self, key):
        del self._order[key]
        self._ends.pop(key, None)

    def _expired(self, time):
        gone = []
        for key, end in self._ends.items():
            if time < end:
                break
            gone.append(key)
        return gone


class TLRUCache(_Timed):
    """A bounded mapping whose entries live until the time that `ttu(key, value, now)` gives for each."""

    _containers = ("_data", "_sizes", "_order", "_ends", "_heap")

    def __init__(self, maxsize, ttu, timer=time.monotonic, getsizeof=None, *, listener=None):
        self._ttu = ttu
        self._heap = []
        self._number = 0
        super().__init__(maxsize, timer, getsizeof, listener)

    @property
    def ttu(self):
        """What says how long an entry lives."""
        return self._ttu

    def __setitem__(self, key, value):
        with self._step():
            end = self._ttu(key, value, self._timer())
            if not self._timer() < end:
                # It has expired already, and so has what it replaces.
                self._purge()
                if key in self._data:
                    self._take(key)
                return
            super().__setitem__(key, value)
            self._ends[key] = end
            self._number += 1
            heapq.heappush(self._heap, (end, self._number, key))
            if len(self._heap) > 2 * len(self._data) + 16:
                self._heap = [one for one in self._heap if self._ends.get(one[2], _NOTHING) == one[0]]
                heapq.heapify(self._heap)

    def _removed(self, key):
        del self._order[key]
        self._ends.pop(key, None)

    def _expired(self, time):
        gone = {}
        while self._heap and not time < self._heap[0][0]:
            end, _, key = heapq.heappop(self._heap)
            if self._ends.get(key, _NOTHING) == end:
                gone[key] = None
        return list(gone)
