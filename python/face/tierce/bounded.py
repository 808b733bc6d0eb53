"""What all bounded mappings share: the entries, one step for each operation, a listener for what leaves.

**Interruptions.** The handler of a signal may raise between any two calls. What is here is one dict of entries, which one
store changes; all else (the order, the counts, how much there is) follows from it. Whoever changes something marks the
mapping as torn and takes the mark away when he is done, and who finds the mark derives all of that anew.

**Guests.** A handler that does not raise, what the garbage collector finalizes and a `==` of a key may use the mapping in
the middle of an operation of the same thread, which has the lock already. Such a guest finds the mark and derives before
he works, into new containers, and leaves the mark as he found it. Each inner step has a turn of its own. Who sees, when he is done, that the turn has moved
on leaves the mark where it is: what he wrote belongs to containers that are no longer in use, or he overwrote what the guest
counted. Entries have numbers, by which all that follows from them is kept, so that none of that asks a key for its `==`.
"""

from collections import OrderedDict
from collections.abc import ItemsView, MutableMapping, ValuesView
from threading import RLock
from types import GenericAlias

from .step import NOTHING, step

__all__ = ["Cache"]

_ROUNDS = 100
"""How often a guest may take what was to go before that is an error: a choice that uses the mapping looks like a guest each time."""

# Where an entry has what: the key as it is kept, the value, its size, its number, and its end where it has one.
KEY, VALUE, SIZE, NUMBER, END = range(5)


def callable_as(name, what):
    if not callable(what):
        raise TypeError(f"{name}={what!r} cannot be called")
    return what


class Cache(MutableMapping):
    """A mapping of bounded size. What makes room is anybody's guess: the classes below say which goes.

    maxsize: how much fits; one an entry, or what getsizeof says of its value.
    listener: told of what leaves by itself, as listener(key, value, reason), the
        reason "evict" or "expire"; after the mapping's lock was given back. One that
        puts back what was evicted evicts the next, and so on until a RecursionError.

    Each operation is one step for other threads. getsizeof, the listener and
    __missing__ run without the lock. In a class that has a __getitem__,
    __setitem__, __delitem__, __contains__ or popitem of its own, the other
    methods go through those, as cachetools' do, with the lock held.
    """

    __module__ = "tierce.mapping"

    __class_getitem__ = classmethod(GenericAlias)

    _timer = None
    # Whether a class derived from these has methods of its own that lookups, deletions and evictions go through.
    _own_lookups = _own_sets = _own_deletions = _own_popitem = False

    def __init_subclass__(cls, **more):
        super().__init_subclass__(**more)
        own = {name for name in _HONOURED if getattr(cls, name) is not getattr(Cache, name)}
        cls._own_lookups = not own.isdisjoint({"__getitem__", "__contains__"})
        cls._own_sets = "__setitem__" in own
        cls._own_deletions = "__delitem__" in own
        cls._own_popitem = "popitem" in own

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        try:
            fits = maxsize >= 0
        except TypeError:
            raise TypeError(f"maxsize={maxsize!r} is no number: say how much fits, or math.inf for no bound") from None
        if not fits:
            raise ValueError("maxsize must be non-negative")
        if getsizeof is not None:
            self.getsizeof = callable_as("getsizeof", getsizeof)
        self._maxsize = maxsize
        self._listener = None if listener is None else callable_as("listener", listener)
        # The entries, by their keys.
        self._data = {}
        self._currsize = 0
        self._number = 0
        self._begin()

    def _begin(self):
        self._lock = RLock()
        self._left = []
        self._torn = False
        self._turn = 0

    def _begin_step(self):
        if self._torn:
            self._renew()

    def _renew(self):
        """Derives all that follows from the entries. A guest may come in between, so it is done until none has."""
        while self._torn:
            turn = self._turn
            entries = list(self._data.values())
            self._currsize = sum(entry[SIZE] for entry in entries)
            self._derive({entry[NUMBER]: entry for entry in entries})
            self._torn = turn != self._turn

    def _leaves(self, key, value, reason):
        if self._listener is not None:
            self._left.append((key, value, reason))

    # What the classes below decide.

    def _derive(self, entries):
        """Makes anew, in new containers, what follows from the entries, which are given by their numbers."""

    def _added(self, entry, older):
        """The entry was put, in the place of an older one unless that is None."""

    def _used(self, entry):
        """The entry was read. It may have gone meanwhile."""

    def _removed(self, entry):
        """The entry was taken out."""

    def _victim(self):
        """The key that makes room, or NOTHING."""
        # No call is between the iterator and its first, so that no guest can be.
        for key in self._data:
            return key
        return NOTHING

    def _purge(self):
        """What has expired is taken out."""

    def _live(self, key):
        """The entry of a key, or None."""
        return self._data.get(key)

    # The turn is read first and compared last, in one expression with the store: there a guest would go unseen.

    def _put(self, key, value, size, end):
        turn = self._turn
        if self._torn:
            self._renew()
        older = self._data.get(key)
        number = self._number = self._number + 1
        entry = (key if older is None else older[KEY], value, size, number, end)
        self._torn = True
        self._data[key] = entry
        self._currsize += size - (0 if older is None else older[SIZE])
        self._added(entry, older)
        self._torn = turn != self._turn

    def _take(self, key):
        """The entry of a key, which is taken out, or None."""
        turn = self._turn
        if self._torn:
            self._renew()
        self._torn = True
        entry = self._data.pop(key, None)
        if entry is not None:
            self._currsize -= entry[SIZE]
            self._removed(entry)
        self._torn = turn != self._turn
        return entry

    def _take_chosen(self, key, turn):
        """The same for a key that was found at a turn: one that has gone without a guest is an error."""
        entry = self._take(key)
        if entry is None and turn == self._turn:
            raise KeyError(key)
        return entry

    # The mapping.

    def __getitem__(self, key):
        found = self._found(key)
        return self.__missing__(key) if found is NOTHING else found

    @step
    def _found(self, key):
        entry = self._live(key)
        if entry is None:
            return NOTHING
        self._used(entry)
        return entry[VALUE]

    def __missing__(self, key):
        raise KeyError(key)

    def __setitem__(self, key, value):
        self._set(key, value, self._sized(value))

    def _sized(self, value):
        size = self.getsizeof(value)
        try:
            counts = size >= 0
        except TypeError:
            raise TypeError(f"getsizeof gave {size!r}, which is no number") from None
        if not counts:
            raise ValueError("size must be non-negative")
        if size > self._maxsize:
            raise ValueError("value too large")
        return size

    @step
    def _set(self, key, value, size, end=None):
        self._purge()
        self._make_room(key, size)
        self._put(key, value, size, end)
        if self._torn or self._currsize > self._maxsize:
            # A guest came, and took the room.
            self._make_room(key, None)

    def _make_room(self, key, size):
        """Evicts until a size fits beside what is there; what is there alone, where it is None."""
        while True:
            if self._torn:
                self._renew()
            more = 0
            if size is not None:
                # The key itself may be what goes: its size is asked for anew each time.
                older = self._data.get(key)
                more = size - (0 if older is None else older[SIZE])
            if not self._currsize + more > self._maxsize:
                return
            pair = self._evicted()
            if pair is not None:
                self._leaves(*pair, "evict")

    def _evicted(self):
        if not self._own_popitem:
            return self._popped()
        try:
            return self.popitem()
        except KeyError:
            # A guest may have emptied it.
            if self._data:
                raise
            self._torn = True
            return None

    def _popped(self):
        """What made room, as a pair, or None if there is nothing."""
        for last in range(_ROUNDS, -1, -1):
            turn = self._turn
            if self._torn:
                self._renew()
            key = self._victim()
            if key is NOTHING:
                return None
            if self._own_deletions:
                value = self._data[key][VALUE]
                del self[key]
                return key, value
            entry = self._take_chosen(key, turn if last else self._turn)
            if entry is not None:
                return entry[KEY], entry[VALUE]

    @step
    def __delitem__(self, key):
        if self._live(key) is None or self._take(key) is None:
            raise KeyError(key)

    @step
    def __contains__(self, key):
        return self._live(key) is not None

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
            if value is not NOTHING:
                yield key, value

    @step
    def _value_of(self, key):
        # Looked for and read in one step, so that nothing expires or makes room in between.
        if self._own_lookups:
            return self[key] if Cache.__contains__(self, key) else NOTHING
        return self._found(key)

    def get(self, key, default=None):
        """The value of a key, or the default."""
        found = self._looked(key) if self._own_lookups else self._found(key)
        return default if found is NOTHING else found

    @step
    def _looked(self, key):
        return self[key] if key in self else NOTHING

    def pop(self, key, default=NOTHING):
        """Takes a key out, and gives its value or the default."""
        found = self._taken(key)
        if found is not NOTHING:
            return found
        if default is NOTHING:
            raise KeyError(key)
        return default

    @step
    def _taken(self, key):
        if self._own_lookups or self._own_deletions:
            value = self._looked(key)
            if value is not NOTHING:
                del self[key]
            return value
        entry = None if self._live(key) is None else self._take(key)
        return NOTHING if entry is None else entry[VALUE]

    @step
    def popitem(self):
        """Takes out and gives what would make room."""
        self._purge()
        pair = self._popped()
        if pair is None:
            raise KeyError(f"{type(self).__name__} is empty") from None
        return pair

    def setdefault(self, key, default=None):
        """The value of a key, which is set to the default if it has none."""
        if self._own_lookups or self._own_sets:
            return self._looked_or_set(key, default)
        found = self._found(key)
        if found is not NOTHING:
            return found
        return self._found_or_set(key, default, self._sized(default))

    @step
    def _found_or_set(self, key, value, size):
        found = self._found(key)
        if found is not NOTHING:
            return found
        self._set(key, value, size)
        return value

    @step
    def _looked_or_set(self, key, value):
        found = self._looked(key)
        if found is not NOTHING:
            return found
        self[key] = value
        return value

    @step
    def clear(self):
        """Takes everything out; the listener is not told."""
        # Kept until all is done: what is finalized with it may use the mapping.
        gone = self._data
        # One statement without a call, so that nothing comes in between.
        self._data, self._torn = {}, True
        self._renew()
        del gone

    @step
    def invalidate(self, key):
        """Takes a key out if it is here; whether it was."""
        if self._own_lookups or self._own_deletions:
            held = key in self
            if held:
                del self[key]
            return held
        return self._live(key) is not None and self._take(key) is not None

    @property
    def maxsize(self):
        """How much fits."""
        return self._maxsize

    @property
    @step
    def currsize(self):
        """How much there is."""
        self._purge()
        if self._torn:
            self._renew()
        return self._currsize

    @staticmethod
    def getsizeof(value):
        """What one value counts."""
        return 1

    @step
    def __repr__(self):
        self._purge()
        entries = list(self._data.values())
        data, size = {entry[KEY]: entry[VALUE] for entry in entries}, sum(entry[SIZE] for entry in entries)
        return f"{type(self).__name__}({data!r}, maxsize={self._maxsize!r}, currsize={size!r})"

    # A copy has a lock of its own, and what the original has.

    _containers = ("_data",)

    @step
    def __getstate__(self):
        turn = None
        while turn != self._turn:
            turn = self._turn
            if self._torn:
                self._renew()
            state = dict(self.__dict__)
            for name in self._containers:
                state[name] = _copied(state[name])
        for name in ("_lock", "_left", "_torn", "_turn"):
            del state[name]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._begin()

    def __copy__(self):
        made = type(self).__new__(type(self))
        made.__setstate__(self.__getstate__())
        return made


_HONOURED = ("__getitem__", "__setitem__", "__delitem__", "__contains__", "popitem")
"""What the other methods go through where a class derived from these has its own."""


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
    if type(made) is dict:
        for key, one in made.items():
            if isinstance(one, OrderedDict):
                made[key] = one.copy()
    return made
