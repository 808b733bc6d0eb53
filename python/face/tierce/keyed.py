"""`KeyedCache`, whose keys are said at each call; and the verbs that it shares with cached functions."""

from types import GenericAlias

from ._tierce import Cached, _blocking
from .blocking import Blocking
from .errors import StoreError

__all__ = ["ANY", "KeyedCache", "Like"]


class _Any:
    """Any value, in the place of a part of a key: product.invalidate_matching("en", ANY)."""

    __slots__ = ()

    def __repr__(self):
        return "ANY"

    def __reduce__(self):
        return "ANY"


ANY = _Any()


class Like:
    """Any text that looks so, in the place of a part of a key: * stands for any text, ? for one character."""

    __slots__ = ("text",)

    def __init__(self, text, /):
        if not isinstance(text, str):
            raise TypeError(f"Like({text!r}): a text is needed")
        self.text = text

    def __repr__(self):
        return f"Like({self.text!r})"


class Holding:
    """A hold that begins with `async with`, or `with` where nothing is awaited, and ends with it."""

    __slots__ = ("_begin", "_hold")

    def __init__(self, begin):
        self._begin, self._hold = begin, None

    def __await__(self):
        return self._begin().__await__()

    async def __aenter__(self):
        self._hold = await self._begin()
        return self._hold

    async def __aexit__(self, kind, error, traceback):
        if self._hold._is_over():
            return
        # What became of the change nobody has said.
        try:
            await self._hold.invalidate()
        except StoreError as untold:
            _beside(untold, error)

    def __enter__(self):
        self._hold = _blocking(self._begin, (), {})
        return self._hold

    def __exit__(self, kind, error, traceback):
        if self._hold._is_over():
            return
        try:
            _blocking(self._hold.invalidate, (), {})
        except StoreError as untold:
            _beside(untold, error)


def _beside(untold, error):
    """What the body raised goes on, since it says whether the change was made; the store is told later all the same."""
    if error is None:
        raise untold
    error.add_note(f"and the store could not be told yet: {untold}")


def get(self, /, *args, default=None, **kwargs):
    """The value of such a call if it is here or in the store, else default; loads nothing. To be awaited."""
    return self._get(default, *args, **kwargs)


def get_many(self, ids, /, load=None):
    """A dict of the values of these ids, in their order, in one question to the store. To be awaited.

    load: a function of a list of the ids that are missing, called once, that gives a
        dict, or pairs, of an id and its value; what it gives nothing for is
        remembered to be missing for 30 seconds. Without it what is missing is left out.

    The function takes one argument, which is the id.
    """
    if load is not None and not callable(load):
        raise TypeError(f"load={load!r} is no function")
    return self._get_many(list(ids), load)


def set_many(self, values, /):
    """Keep many values: a dict, or pairs, of an id and its value. To be awaited."""
    return self._set_many(list(map(tuple, values.items() if hasattr(values, "items") else values)))


def invalidate_many(self, ids, /):
    """End the values of many ids. To be awaited."""
    return self._invalidate_many(list(ids))


def invalidate_matching(self, /, *parts):
    """End all values whose keys look so; how many there were. To be awaited.

    parts: those of the key, in its order; ANY or Like("...*") where they differ. Of a
        function with *args an ANY also stands for several.
    Redis looks at every name that it has: a tag ends as many with one write.
    Raises StoreError with Memcached, which cannot look.
    """
    return self._invalidate_matching(False, *map(_piece, parts))


def _piece(part):
    if part is ANY:
        return None
    return [part.text] if isinstance(part, Like) else (part,)


def hold(self, /, *args, **kwargs):
    """Say that what such a call loads is about to be changed, before the change, and how it ended:

        async with product.hold(42) as hold:
            await database.update(...)
            await hold.set(new)      # or hold.invalidate(), or hold.unchanged()

    While it lasts no load of it is kept. Left without a word the value goes. set
    keeps the value if nothing else happened to it meanwhile, and gives whether it
    does; with a store it goes instead, and the next call loads it.
    """
    return Holding(lambda: self._hold(*args, **kwargs))


def set_through(self, write, /, *args, **kwargs):
    """Write to the source by this function of no arguments, and keep what it returns; gives it. To be awaited.

    If it raises, nobody knows what was written, and the value goes. write is a
    coroutine function, or a plain one where nothing is awaited.
    """
    set_ = _set_through if self._is_async else set_through_plainly
    return set_(self, write, *args, **kwargs)


async def _set_through(self, write, /, *args, **kwargs):
    async with self.hold(*args, **kwargs) as held:
        value = await write()
        await held.set(value)
    return value


def set_through_plainly(self, write, /, *args, **kwargs):
    """As set_through, where nothing is awaited."""
    with self.hold(*args, **kwargs) as held:
        value = write()
        held.set(value)
    return value


class KeyedCache:
    """Values by keys that are said at each call; made by Hub.cache.

        carts = hub().cache("cart", dict, ttl="1h")
        await carts.get_or_load(user_id, load_cart)
        await carts.set(user_id, cart, tags=[f"user:{user_id}"])
        await carts.invalidate(user_id)

    A key is an int, str, UUID, date, bytes, or a tuple of these. None is a value;
    for plain code carts.blocking has the same verbs.
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, hub, name, value, settings):
        from .shared import keyed

        self._cached = keyed(hub, name, value, settings)
        self.name = name

    @property
    def blocking(self):
        """The same verbs for code that runs on no loop."""
        return Blocking(self)

    def get(self, key, /, default=None):
        """The value if it is here or in the store, else default. To be awaited."""
        return self._cached._get(default, key)

    def get_or_load(self, key, load, /, *, tags=()):
        """The value; load, a coroutine function of the key, is called for it if it is missing. To be awaited."""
        if not callable(load):
            raise TypeError(f"{load!r} is no function that loads")
        return self._cached._load_with(load, list(tags), key)

    def set(self, key, value, /, *, tags=()):
        """Keep a value; a load of it that runs is not kept. To be awaited."""
        return self._cached._set_with(value, list(tags), key)

    def get_many(self, keys, /, load=None):
        """As that of cached functions. To be awaited."""
        return get_many(self._cached, keys, load)

    def set_many(self, values, /):
        """Keep many: a dict, or pairs, of a key and its value. To be awaited."""
        return set_many(self._cached, values)

    def invalidate(self, key, /):
        """End a value; a load of it that runs is not kept. To be awaited."""
        return self._cached.invalidate(key)

    def invalidate_many(self, keys, /):
        """End many. To be awaited."""
        return invalidate_many(self._cached, keys)

    def invalidate_matching(self, pattern, /):
        """End all whose keys look so: Like("/shop/*"), or a tuple with ANY in it; how many there were. To be awaited."""
        is_tuple = isinstance(pattern, tuple)
        return self._cached._invalidate_matching(is_tuple, *map(_piece, pattern if is_tuple else (pattern,)))

    def mark_stale(self, key, /):
        """Make a value stale. To be awaited."""
        return self._cached.mark_stale(key)

    def peek(self, key, /):
        """The value if it is in memory and fresh, else None. Counts nothing."""
        return self._cached.peek(key)

    def touch(self, key, /):
        """Make a value last as long as if it were loaded now; whether there is one. To be awaited."""
        return self._cached.touch(key)

    def explain(self, key, /):
        """All that is known of a key, as text. To be awaited."""
        return self._cached.explain(key)

    def hold(self, key, /):
        """As that of cached functions."""
        return hold(self._cached, key)

    def set_through(self, key, write, /):
        """Write to the source by this coroutine function of no arguments, and keep what it returns. To be awaited."""
        return set_through(self._cached, write, key)

    def stats(self):
        """What was counted."""
        return self._cached.stats()

    def clear(self):
        """End all values. To be awaited."""
        return self._cached.clear()

    def __repr__(self):
        return f"<KeyedCache {self.name!r}>"


for _verb in (get, get_many, set_many, invalidate_many, invalidate_matching, hold, set_through):
    setattr(Cached, _verb.__name__, _verb)
del _verb
