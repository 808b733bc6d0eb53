"""Bounded mappings: what users of cachetools expect, safe among threads, with a listener for what leaves.

**Interruptions.** The handler of a signal may raise between any two calls. What is here is one dict of entries, which one
store changes; all else (the order, the counts, how much there is) follows from it. Whoever changes something marks the
mapping as torn and takes the mark away when he is done, and who finds the mark derives all of that anew.
"""

import random
from collections import OrderedDict
from collections.abc import ItemsView, MutableMapping, ValuesView
from functools import wraps
from threading import RLock
from types import GenericAlias

__all__ = ["Cache", "FIFOCache", "LFUCache", "LRUCache", "RRCache"]

_NOTHING = object()


def step(method):
    """Makes a method one step for other threads. Its listener is told when the outermost step has ended."""

    @wraps(method)
    def stepped(self, *args, **kwargs):
        if self._lock._is_owned():
            return method(self, *args, **kwargs)
        left, timer = [], self._timer
        try:
            with self._lock:
                try:
                    self._begin_step(left)
                    return method(self, *args, **kwargs)
                finally:
                    # No call, so that nothing comes in between.
                    if timer is not None:
                        timer.held = _NOTHING
        finally:
            if left:
                _tell(self._listener, left)

    return stepped


def _tell(listener, left):
    failed = None
    for key, value, reason in left:
        # One that raises keeps nothing from being told; the first error is raised when all were.
        try:
            listener(key, value, reason)
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed


class Cache(MutableMapping):
    """A mapping of bounded size. What makes room is anybody's guess: the classes below say which goes.

    maxsize: how much fits; one an entry, or what getsizeof says of its value.
    listener: told of what leaves by itself, as listener(key, value, reason), the
        reason "evict" or "expire"; after the mapping's lock was given back.

    Each operation is one step for other threads. getsizeof, the listener and
    __missing__ run without the lock.
    """

    __class_getitem__ = classmethod(GenericAlias)

    _timer = None

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        if maxsize < 0:
            raise ValueError("maxsize must be non-negative")
        if getsizeof is not None:
            self.getsizeof = getsizeof
        self._maxsize = maxsize
        self._listener = listener
        # Values with their sizes, and with their ends where they have one.
        self._data = {}
        self._currsize = 0
        self._begin()

    def _begin(self):
        self._lock = RLock()
        self._left = []
        self._torn = False

    def _begin_step(self, left):
        self._left = left
        if self._torn:
            self._currsize = sum(entry[1] for entry in self._data.values())
            self._derive()
            self._torn = False

    def _leaves(self, key, value, reason):
        if self._listener is not None:
            self._left.append((key, value, reason))

    # What the classes below decide.

    def _derive(self):
        """Makes anew what follows from the entries."""

    def _added(self, key, entry):
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

    def _put(self, key, entry):
        older = self._data.get(key)
        self._torn = True
        self._data[key] = entry
        self._currsize += entry[1] - (0 if older is None else older[1])
        self._added(key, entry)
        self._torn = False

    def _take(self, key):
        self._torn = True
        value, size, *_ = self._data.pop(key)
        self._currsize -= size
        self._removed(key)
        self._torn = False
        return value

    # The mapping.

    def __getitem__(self, key):
        found = self._found(key)
        return self.__missing__(key) if found is _NOTHING else found

    @step
    def _found(self, key):
        if not self._holds(key):
            return _NOTHING
        self._used(key)
        return self._data[key][0]

    def __missing__(self, key):
        raise KeyError(key)

    def __setitem__(self, key, value):
        size = self.getsizeof(value)
        if size < 0:
            raise ValueError("size must be non-negative")
        if size > self._maxsize:
            raise ValueError("value too large")
        self._set(key, value, size)

    @step
    def _set(self, key, value, size, *end):
        self._purge()
        # The key itself may be what goes: its size is asked for anew each time.
        while self._currsize + size - self._size_of(key) > self._maxsize:
            gone, left = self.popitem()
            self._leaves(gone, left, "evict")
        self._put(key, (value, size, *end))

    def _size_of(self, key):
        entry = self._data.get(key)
        return 0 if entry is None else entry[1]

    @step
    def __delitem__(self, key):
        if not self._holds(key):
            raise KeyError(key)
        self._take(key)

    @step
    def __contains__(self, key):
        return self._holds(key)

    def __iter__(self):
        # Of the keys that were here: what has gone meanwhile is skipped, what has come is not visited.
        for key in self._keys_here():
            if Cache.__contains__(self, key):
                yield key

    @step
    def _keys_here(self):
        return list(self._data)

    @step
    def __len__(self):
        self._purge()
        return len(self._data)

    def items(self):
        """What is here, as pairs; what goes meanwhile is skipped."""
        return _Items(self)

    def values(self):
        """The values of what is here; what goes meanwhile is skipped."""
        return _Values(self)

    def _pairs(self):
        for key in self:
            value = self._value_of(key)
            if value is not _NOTHING:
                yield key, value

    @step
    def _value_of(self, key):
        # Looked for and read in one step, so that nothing expires or makes room in between.
        return self[key] if self._holds(key) else _NOTHING

    def get(self, key, default=None):
        """The value of a key, or the default."""
        found = self._found(key)
        return default if found is _NOTHING else found

    def pop(self, key, default=_NOTHING):
        """Takes a key out, and gives its value or the default."""
        found = self._taken(key)
        if found is not _NOTHING:
            return found
        if default is _NOTHING:
            raise KeyError(key)
        return default

    @step
    def _taken(self, key):
        return self._take(key) if self._holds(key) else _NOTHING

    @step
    def popitem(self):
        """Takes out and gives what would make room."""
        self._purge()
        if not self._data:
            raise KeyError(f"{type(self).__name__} is empty") from None
        key = self._victim()
        return key, self._take(key)

    @step
    def setdefault(self, key, default=None):
        """The value of a key, which is set to the default if it has none."""
        if self._holds(key):
            self._used(key)
            return self._data[key][0]
        self[key] = default
        return default

    @step
    def clear(self):
        """Takes everything out; the listener is not told."""
        for key in list(self._data):
            self._take(key)

    @step
    def invalidate(self, key):
        """Takes a key out if it is here; whether it was."""
        held = self._holds(key)
        if held:
            self._take(key)
        return held

    @property
    def maxsize(self):
        """How much fits."""
        return self._maxsize

    @property
    @step
    def currsize(self):
        """How much there is."""
        self._purge()
        return self._currsize

    @staticmethod
    def getsizeof(value):
        """What one value counts."""
        return 1

    @step
    def __repr__(self):
        self._purge()
        data = {key: entry[0] for key, entry in self._data.items()}
        return f"{type(self).__name__}({data!r}, maxsize={self._maxsize!r}, currsize={self._currsize!r})"

    # A copy has a lock of its own, and what the original has.

    _containers = ("_data",)

    @step
    def __getstate__(self):
        state = dict(self.__dict__)
        for name in self._containers:
            state[name] = _copied(state[name])
        for name in ("_lock", "_left", "_torn"):
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


def _kept(order, data):
    try:
        return [key for key in order if key in data]
    except KeyError:
        # An OrderedDict does not outlive a == that raised in the middle of it, and its order is lost.
        return []


def _copied(container):
    made = container.copy()
    if type(made) is dict:
        for key, one in made.items():
            if isinstance(one, OrderedDict):
                made[key] = one.copy()
    return made


class FIFOCache(Cache):
    """A bounded mapping from which goes what was set first."""

    _containers = ("_data", "_order")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        self._order = OrderedDict()
        super().__init__(maxsize, getsizeof, listener=listener)

    def _derive(self):
        self._order = OrderedDict.fromkeys([*_kept(self._order, self._data), *self._data])

    def _added(self, key, entry):
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

    _containers = ("_data", "_counts", "_buckets")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        # The keys as they are kept, with how often each was used; and those keys by that number.
        self._counts = {}
        self._buckets = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    def _derive(self):
        known = [key for bucket in self._buckets.values() for key in _kept(bucket, self._data)]
        counts, buckets = {}, {}
        for key in [*known, *self._data]:
            if key not in counts:
                _, count = counts[key] = self._counts.get(key, (key, 1))
                buckets.setdefault(count, OrderedDict())[key] = None
        self._counts, self._buckets = counts, buckets

    def _added(self, key, entry):
        if key in self._counts:
            self._used(key)
            self._torn = True
        else:
            self._counts[key] = (key, 1)
            self._buckets.setdefault(1, OrderedDict())[key] = None

    def _used(self, key):
        # From here on with the key that is kept, which is found without a ==: one that uses the mapping itself would
        # change what it is asked for.
        key, count = self._counts[key]
        self._torn = True
        self._uncount(key, count)
        self._counts[key] = (key, count + 1)
        self._buckets.setdefault(count + 1, OrderedDict())[key] = None
        self._torn = False

    def _removed(self, key):
        self._uncount(*self._counts.pop(key))

    def _uncount(self, key, count):
        bucket = self._buckets[count]
        del bucket[key]
        if not bucket:
            del self._buckets[count]

    def _victim(self):
        # There are as many buckets as different counts, which are few beside the entries.
        return next(iter(self._buckets[min(self._buckets)]))


class RRCache(Cache):
    """A bounded mapping from which goes what `choice` picks among all keys: any of them, unless said otherwise."""

    _containers = ("_data", "_keys", "_places")

    def __init__(self, maxsize, choice=random.choice, getsizeof=None, *, listener=None):
        self._choice = choice
        self._keys = []
        self._places = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def choice(self):
        """What picks the key that goes."""
        return self._choice

    def _derive(self):
        self._keys = list(self._data)
        self._places = {key: place for place, key in enumerate(self._keys)}

    def _added(self, key, entry):
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
