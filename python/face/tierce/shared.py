"""`cached`: values with an age and tags, in tierce's engine: one load for all who ask, on asyncio's own loop."""

import atexit
import os
import re
import weakref
from functools import partial
from itertools import count
from threading import RLock
from types import GenericAlias
from typing import NamedTuple

from ._tierce import Cached, Lookup, _end, _forget_loops
from ._tierce import Hub as _Hub
from .bound import BoundCached
from .duration import milliseconds
from .memo import _NO_DEFAULT, _dress, _is_async, _mark_async, _signature
from .templates import binder, key_parts, tag_makers

__all__ = ["BoundCached", "Cached", "Hub", "Stats", "cached", "hub"]


def cached(function=None, /, *, ttl="5m", stale=None, tags=(), key=None, maxsize=10_000, hub=None):
    """Keep the values of an async function, load each once for all who ask, and end them by key or by tag.

        @cached(ttl="10m", key="product:{product_id}", tags=["products", "category:{result[category_id]}"])
        async def product(product_id: int) -> dict: ...

        await product(42)                          # loaded
        await product(42)                          # from memory, without a task or a future
        await product.invalidate(42)               # gone; a load that runs now is not kept
        await hub().invalidate_tag("category:3")   # all that has the tag
        await product.refresh(42)                  # loaded anew
        await product.set(some_product, 42)        # put in
        product.peek(42)                           # what is in memory and fresh, or None
        product.key(42)                            # 'product:42'
        product.stats()                            # Stats(hits=1, misses=1, ...)
        await product.clear()                      # all of it gone

    The load is a task of the loop of whoever asked first, in a copy of his
    context, and goes on when he leaves. Exceptions go to all who wait and are not
    kept; None is a value. If the load is cancelled, who asked first gets
    LoadCancelledError, and one of the others loads.

    ttl: how long a value is fresh, less up to a tenth by chance. None: for ever.
    stale: how long past that it is served while one load runs behind it.
    tags: names by which values are ended together. In braces stand parameters
        of the function, or result: "user:{user_id}", "category:{result[category_id]}".
        Those that name result are left out where that is None, and so are empty
        ones; one of more than 200 bytes is kept as its beginning and a hash.
    key: the cache's name, and the parameters that tell values apart:
        "product:{product_id}". Unless given, the function's name, and all of them.
        "settings:" has one value for all calls.
    maxsize: how many values are kept; None keeps all.
    hub: where; the process's own unless given.

    A key is made of int, str, bool, None, float, bytes, UUID, date and tuples of
    these. For another argument either leave it out of the key, or give its text.
    """
    settings = _Settings(ttl, stale, tags, key, maxsize, hub)
    if function is not None:
        return _decorate(function, settings)
    return lambda function: _decorate(function, settings)


class Stats(NamedTuple):
    """What was counted since the function was decorated; the last two are how many there are now."""

    hits: int
    misses: int
    stale_hits: int
    coalesced: int
    loads: int
    load_errors: int
    refused: int
    loading: int
    entries: int


class Hub:
    """What cached functions share: tags, and the place of their values: this process, and a store beside it if one is named.

    url: "redis://[user:password@]host[:6379][/database]" (or valkey://),
        "memcached://host[:11211],host2,...", the same with TLS as rediss:// and
        memcacheds://, or "redis+unix:///path". Nothing is opened before the first
        question; a store that does not answer is no error: functions load then.
    namespace: what the names of all entries begin with, "tierce" unless said.

    Raises ValueError for a URL that is none, OSError for a file that it names.
    """

    def __init__(self, url=None, /, *, namespace=None):
        self._hub = _Hub(_checked(url), namespace)
        self._has_store = url is not None
        # Cached functions by the names of their caches.
        self._functions = weakref.WeakValueDictionary()

    def invalidate_tag(self, tag, /):
        """End all that has this tag, and all loads that will turn out to have it. To be awaited."""
        return self._hub._invalidate_tag(True, tag)

    def cached(self, function=None, /, **settings):
        """As cached, in this hub."""
        return cached(function, hub=self, **settings)

    def _codec(self, function):
        """How a function's values are packed; None where nothing is."""
        if not self._has_store:
            return None
        from .values import codec_of_function

        try:
            return codec_of_function(function)
        except NameError:
            # What it names is defined later: looked up again when it is first needed.
            return lambda: codec_of_function(function)

    def _add(self, name, place, make):
        """Makes a function under its name. Another's is refused, that of an older definition of itself is left to it."""
        with _one_at_a_time:
            chosen = name or re.sub(r"[^A-Za-z0-9_.-]", "-", place)[-_LONGEST_NAME:]
            other = self._functions.get(chosen)
            if name and other is not None and other._place != place:
                raise ValueError(f"the cache {name!r} is that of {other._place}: two functions may not share one")
            for number in count(1):
                if number > 1 and self._has_store and "<locals>" in place:
                    # Their order may be another elsewhere, and one would be given the other's values.
                    raise ValueError('there is another of this name, and a store: tell them apart by key="name:{argument}"')
                end = f".{number}" if number > 1 else ""
                taken = chosen[: _LONGEST_NAME - len(end)] + end
                try:
                    made = make(taken)
                except KeyError:
                    # Another's, or a load of one that is gone still runs under it.
                    continue
                self._functions[taken] = made
                return made


_LONGEST_NAME = 64
"""The engine's own limit (LONGEST_NAME, in cache/builder.rs)."""

_one_at_a_time = RLock()
_of_process = None


def hub():
    """The hub of functions that name none."""
    global _of_process
    with _one_at_a_time:
        if _of_process is None:
            _of_process = Hub(os.environ.get("TIERCE_URL"), namespace=os.environ.get("TIERCE_NAMESPACE"))
        return _of_process


class _Settings(NamedTuple):
    ttl: object
    stale: object
    tags: object
    key: object
    maxsize: object
    hub: object


def _decorate(function, settings):
    if not callable(function):
        raise TypeError(f"cached decorates functions, and {function!r} is none")
    place = _place(function)
    try:
        return _made(function, place, settings)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{place}: {error}") from None


def configure(url, /, *, namespace=None):
    """Name the store of the process's own hub, for the functions decorated before and after.

    What they had in memory is forgotten. Call it once, when the application
    begins. The environment's TIERCE_URL (and TIERCE_NAMESPACE) does the same.
    """
    global _of_process
    before, made = hub(), Hub(url, namespace=namespace)
    for name, function in list(before._functions.items()):
        function._bind_to(made._hub, name, made._codec(function))
        made._functions[name] = function
    _of_process = made
    return made


def _checked(url):
    """The URL, whose files have been looked at."""
    if url is not None and not isinstance(url, str):
        raise TypeError(f"{url!r} is no URL of a store, as \"redis://127.0.0.1:6379\" is")
    return url


def _place(function):
    """Where it was defined; of a partial what that is of, of an object that is called its type."""
    while isinstance(function, partial):
        function = function.func
    if not isinstance(getattr(function, "__qualname__", None), str):
        function = type(function)
    return f"{function.__module__}.{function.__qualname__}"


def _made(function, place, settings):
    ttl, stale, tags, key, maxsize, in_hub = settings
    if maxsize is not None and (isinstance(maxsize, bool) or not isinstance(maxsize, int) or maxsize < 1):
        raise TypeError(f"maxsize={maxsize!r}: a number of values is needed, or None for all")
    if in_hub is not None and not isinstance(in_hub, Hub):
        raise TypeError(f"hub={in_hub!r}: a Hub() is needed, or None for that of the process")
    if stale is not None and ttl is None:
        raise TypeError("stale is counted from the end of ttl, and ttl is None: for ever")
    if isinstance(tags, str):
        raise TypeError(f"tags={tags!r}: a list of tags is needed")
    told = _signature(function, 0, lambda one: one.default)
    if told is None:
        raise TypeError("its parameters are unknown")
    name, picks = (None, None) if key is None else key_parts(key, told[0])
    fixed, of_call, of_result = tag_makers(function, list(tags), place)
    in_hub = hub() if in_hub is None else in_hub
    ttl_ms, stale_ms = milliseconds(ttl, "ttl"), milliseconds(stale, "stale")
    is_async, codec = _is_async(function), in_hub._codec(function)

    def make(name):
        made = Cached(
            in_hub._hub, name, function, told, _NO_DEFAULT, picks, fixed, of_call, of_result, maxsize, ttl_ms, stale_ms,
            codec, is_async,
        )  # fmt: skip
        _dress(made, function)
        if is_async:
            _mark_async(made)
        made._place = place
        return made

    return in_hub._add(name, place, make)


def _stats(self):
    """What was counted since the function was decorated."""
    return Stats(*self._counts())


def _misfit(self, args, kwargs):
    """Says what is wrong with arguments that make no key."""
    try:
        binder(self.__wrapped__)(*args, **(kwargs or {}))
    except TypeError as error:
        raise TypeError(f"these arguments do not fit {self._place}: {error}") from None


Cached.__class_getitem__ = classmethod(GenericAlias)
Cached.stats = _stats
Cached._misfit = _misfit
Cached._bind = lambda self, instance: BoundCached(self, instance)
Cached.__repr__ = lambda self: f"<cached {self.__wrapped__!r}>"
Cached.__reduce__ = lambda self: self.__qualname__
Cached.__copy__ = lambda self: self
Cached.__deepcopy__ = lambda self, memo, /: self

# --- what the glue asks for -----------------------------------------------------------------------


def _part(value):
    """What stands in a key for an argument that is not plain: docs/wire.md has a row for each."""
    from datetime import date
    from uuid import UUID

    if type(value) in (UUID, date):
        return str(value)
    kind = type(value).__qualname__
    raise TypeError(f"a {kind} has no place in a key: leave it out by key=\"name:{{other_argument}}\", or give its text")


def _register():
    from collections.abc import Coroutine

    Coroutine.register(Lookup)
    atexit.register(_end)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)


def _in_child():
    """Of a fork: who held the lock in the parent is not here to free it."""
    global _one_at_a_time
    _one_at_a_time = RLock()
    _forget_loops()


_register()
