"""Bounded mappings: what users of cachetools expect, safe among threads, with a listener for what leaves."""

import random
from collections import OrderedDict
from collections.abc import ItemsView, MutableMapping, ValuesView
from threading import RLock
from types import GenericAlias

__all__ = ["Cache", "FIFOCache", "LFUCache", "LRUCache", "RRCache"]

_NOTHING = object()


class Cache(MutableMapping):
    """A mapping of bounded size. What makes room is anybody's guess: the classes below say which goes.

    maxsize: how much fits; one an entry, or what getsizeof says of its value.
    listener: told of what leaves by itself, as listener(key, value, reason), the
        reason "evict" or "expire"; after the mapping's lock was given back.

    Each operation is one step for other threads. getsizeof, the listener and
    __missing__ run without the lock.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        if maxsize < 0:
            raise ValueError("maxsize must be non-negative")
        if getsizeof is not None:
            self.getsizeof = getsizeof
        self._maxsize = maxsize
        self._currsize = 0
        self._data = {}
        self._sizes = {}
        self._listener = listener
        self._begin()

    def _begin(self):
        self._lock = RLock()
        self._depth = 0
        self._left = []

    # What is done as one step. Those who listen are told when the outermost step has ended.

    def _step(self):
        return _Step(self)

    def _leave(self):
        self._depth -= 1
        left = ()
        if self._depth == 0 and self._left:
            left, self._left = self._left, []
        self._lock.release()
        failed = None
        for key, value, reason in left:
            # One that raises keeps nothing from being told; the first error is raised when all were.
            try:
                self._listener(key, value, reason)
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _tell(self, key, value, reason):
        if self._listener is not None:
            self._left.append((key, value, reason))

    # What the classes below decide.

    def _added(self, key):
        """The key was set, for the first time or again."""

    def _used(self, key):
        """The key was read."""

    def _removed(self, key):
        """The key has gone."""

    def _victim(self):
        """The key that makes room."""
        return next(iter(self._data))

    def _purge(self):
        """What has expired is taken out."""

    def _holds(self, key):
        return key in self._data

    def _take(self, key):
        value = self._data.pop(key)
        self._currsize -= self._sizes.pop(key)
        self._removed(key)
        return value

    # The mapping.

    def __getitem__(self, key):
        with self._step():
            if self._holds(key):
                self._used(key)
                return self._data[key]
        return self.__missing__(key)

    def __missing__(self, key):
        raise KeyError(key)

    def __setitem__(self, key, value):
        size = self.getsizeof(value)
        if size < 0:
            raise ValueError("size must be non-negative")
        if size > self._maxsize:
            raise ValueError("value too large")
        with self._step():
            self._purge()
            self._make_room(key, size)
            self._currsize += size - self._sizes.get(key, 0)
            self._data[key] = value
            self._sizes[key] = size
            self._added(key)

    def _make_room(self, key, size):
        # The key itself may be what goes: its size is asked for anew each time.
        while self._currsize + size - self._sizes.get(key, 0) > self._maxsize:
            gone, value = self.popitem()
            self._tell(gone, value, "evict")

    def __delitem__(self, key):
        with self._step():
            if not self._holds(key):
                raise KeyError(key)
            self._take(key)

    def __contains__(self, key):
        with self._step():
            return self._holds(key)

    def __iter__(self):
        with self._step():
            keys = list(self._data)
        # Of the keys that were here: what has gone meanwhile is skipped, what has come is not visited.
        for key in keys:
            with self._step():
                held = self._holds(key)
            if held:
                yield key

    def __len__(self):
        with self._step():
            self._purge()
            return len(self._data)

    def items(self):
        """What is here, as pairs; what goes meanwhile is skipped."""
        return _Items(self)

    def values(self):
        """The values of what is here; what goes meanwhile is skipped."""
        return _Values(self)

    def _pairs(self):
        # Key and value in one step, so that nothing expires or makes room in between.
        for key in self:
            with self._step():
                held = self._holds(key)
                if held:
                    value = self[key]
            if held:
                yield key, value

    def get(self, key, default=None):
        """The value of a key, or the default."""
        with self._step():
            if not self._holds(key):
                return default
            self._used(key)
            return self._data[key]

    def pop(self, key, default=_NOTHING):
        """Takes a key out, and gives its value or the default."""
        with self._step():
            if self._holds(key):
                return self._take(key)
        if default is _NOTHING:
            raise KeyError(key)
        return default

    def popitem(self):
        """Takes out and gives what would make room."""
        with self._step():
            self._purge()
            if not self._data:
                raise KeyError(f"{type(self).__name__} is empty") from None
            key = self._victim()
            return key, self._take(key)

    def setdefault(self, key, default=None):
        """The value of a key, which is set to the default if it has none."""
        with self._step():
            if self._holds(key):
                self._used(key)
                return self._data[key]
            self[key] = default
            return default

    def clear(self):
        """Takes everything out; the listener is not told."""
        with self._step():
            for key in list(self._data):
                self._take(key)

    def invalidate(self, key):
        """Takes a key out if it is here; whether it was."""
        with self._step():
            held = self._holds(key)
            if held:
                self._take(key)
            return held

    @property
    def maxsize(self):
        """How much fits."""
        return self._maxsize

    @property
    def currsize(self):
        """How much there is."""
        with self._step():
            self._purge()
            return self._currsize

    @staticmethod
    def getsizeof(value):
        """What one value counts."""
        return 1

    def __repr__(self):
        with self._step():
            self._purge()
            return f"{type(self).__name__}({self._data!r}, maxsize={self._maxsize!r}, currsize={self._currsize!r})"

    # A copy has a lock of its own, and what the original has.

    _containers = ("_data", "_sizes")

    def __getstate__(self):
        with self._step():
            state = dict(self.__dict__)
            for name in self._containers:
                state[name] = _copied(state[name])
        for name in ("_lock", "_depth", "_left"):
            del state[name]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._begin()

    def __copy__(self):
        made = type(self).__new__(type(self))
        made.__setstate__(self.__getstate__())
        return made


class _Items(ItemsView):
    __slots__ = ()

    def __iter__(self):
        return self._mapping._pairs()


class _Values(ValuesView):
    __slots__ = ()

    def __iter__(self):
        return (value for _, value in self._mapping._pairs())

    def __contains__(self, value):
        return any(one is value or one == value for one in self)


def _copied(container):
    made = container.copy()
    if isinstance(made, dict):
        for key, one in made.items():
            if isinstance(one, OrderedDict):
                made[key] = one.copy()
    return made


class _Step:
    __slots__ = ("of",)

    def __init__(self, of):
        self.of = of

    def __enter__(self):
        self.of._lock.acquire()
        self.of._depth += 1

    def __exit__(self, *_):
        self.of._leave()


class FIFOCache(Cache):
    """A bounded mapping from which goes what was set first."""

    _containers = ("_data", "_sizes", "_order")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        self._order = OrderedDict()
        super().__init__(maxsize, getsizeof, listener=listener)

    def _added(self, key):
        self._order[key] = None
        self._order.move_to_end(key)

    def _removed(self, key):
        del self._order[key]

    def _victim(self):
        return next(iter(self._order))


class LRUCache(FIFOCache):
    """A bounded mapping from which goes what was not used for the longest time."""

    def _used(self, key):
        self._order.move_to_end(key)


class LFUCache(Cache):
    """A bounded mapping from which goes what was used least often; among those, what came to that count first."""

    _containers = ("_data", "_sizes", "_counts", "_buckets")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        self._counts = {}
        self._buckets = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    def _added(self, key):
        self._count(key, self._counts.get(key, 0) + 1)

    _used = _added

    def _count(self, key, count):
        if key in self._counts:
            self._removed(key)
        self._counts[key] = count
        self._buckets.setdefault(count, OrderedDict())[key] = None

    def _removed(self, key):
        count = self._counts.pop(key)
        bucket = self._buckets[count]
        del bucket[key]
        if not bucket:
            del self._buckets[count]

    def _victim(self):
        # There are as many buckets as different counts, which are few beside the entries.
        return next(iter(self._buckets[min(self._buckets)]))


class RRCache(Cache):
    """A bounded mapping from which goes what `choice` picks among all keys: any of them, unless said otherwise."""

    _containers = ("_data", "_sizes", "_keys", "_places")

    def __init__(self, maxsize, choice=random.choice, getsizeof=None, *, listener=None):
        self._choice = choice
        self._keys = []
        self._places = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def choice(self):
        """What picks the key that goes."""
        return self._choice

    def _added(self, key):
        if key not in self._places:
            self._places[key] = len(self._keys)
            self._keys.append(key)

    def _removed(self, key):
        place = self._places.pop(key)
        last = self._keys.pop()
        if place < len(self._keys):
            self._keys[place] = last
            self._places[last] = place

    def _victim(self):
        return self._choice(self._keys)
