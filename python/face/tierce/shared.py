"""`cached`: values with an age and tags, in tierce's engine: one load for all who ask, on asyncio's own loop."""

import atexit
import os
from functools import partial
from types import GenericAlias
from typing import NamedTuple

from ._tierce import Cached, Lookup, _end, _forget_loops
from .blocking import Blocking
from .bound import BoundCached
from .duration import milliseconds
from .hubs import Hub, configure, hub
from .keyed import ANY, KeyedCache, Like
from .memo import _NO_DEFAULT, _dress, _is_async, _mark_async, _signature
from .program import PROGRAM, module_of_program
from .signed import SignedPickle
from .templates import binder, key_parts, tag_makers

__all__ = ["ANY", "BoundCached", "Cached", "Hub", "KeyedCache", "Like", "Stats", "cached", "configure", "hub"]


def cached(
    function=None, /, *, ttl="5m", stale=None, tags=(), key=None, maxsize=10_000, version=1, codec=None, hub=None
):
    """Keep the values of a function, load each once for all who ask, and end them by key or by tag.

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
        await product.get_many([1, 2, 3], load)    # a dict, with one load for what is missing

    What is awaited of a coroutine function is waited for of a plain one: product(42),
    product.invalidate(42). Where a hub has a store (configure, TIERCE_URL), values are shared
    with all processes that name it, as its return annotation says what they are.

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
    version: of the shape of the values: another one does not read those in the store.
    codec: a SignedPickle, for values in a store that no annotation can say.
    hub: where; the process's own unless given.

    A key is made of int, str, bool, None, float, bytes, UUID, date and tuples of
    these. For another argument either leave it out of the key, or give its text.
    """
    settings = _Settings(ttl, stale, tags, key, maxsize, version, codec, hub)
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


class _Settings(NamedTuple):
    ttl: object
    stale: object
    tags: object
    key: object
    maxsize: object
    version: object
    codec: object
    hub: object


def _decorate(function, settings):
    if not callable(function):
        raise TypeError(f"cached decorates functions, and {function!r} is none")
    place = _place(function)
    try:
        return _made(function, place, settings)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        # What is wrong with a return annotation names the function itself.
        said = str(error).removeprefix(f"{function.__qualname__}: ") if hasattr(function, "__qualname__") else error
        raise kind(f"{place}: {said}") from None


def _place(function):
    """Where it was defined; of a partial what that is of, of an object that is called its type."""
    while isinstance(function, partial):
        function = function.func
    if not isinstance(getattr(function, "__qualname__", None), str):
        function = type(function)
    module = function.__module__
    return f"{module_of_program(function) if module in PROGRAM else module}.{function.__qualname__}"


def _made(function, place, settings):
    ttl, stale, tags, key, maxsize, version, codec, in_hub = settings
    if maxsize is not None and (isinstance(maxsize, bool) or not isinstance(maxsize, int) or maxsize < 1):
        raise TypeError(f"maxsize={maxsize!r}: a number of values is needed, or None for all")
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 1 << 32:
        raise TypeError(f"version={version!r}: a number from 0 to 4294967295 is needed")
    if codec is not None and not isinstance(codec, SignedPickle):
        raise TypeError(f"codec={codec!r}: a SignedPickle is needed, or None for what the return annotation says")
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
    is_async = _is_async(function)

    def make(name):
        made = Cached(
            in_hub._hub, name, function, told, _NO_DEFAULT, picks, fixed, of_call, of_result, maxsize, ttl_ms, stale_ms,
            in_hub._codec(function, name, version, codec), is_async, version,
        )  # fmt: skip
        _dress(made, function)
        if is_async:
            _mark_async(made)
        made._place, made._is_async, made._packs = place, is_async, (function, name, version, codec)
        made._is_named, made._first = key is not None, None
        return made

    return in_hub._add(name, place, make, function)


def keyed(in_hub, name, value, settings):
    """The function that a KeyedCache is made of, which nobody calls."""

    async def load(key): ...

    load.__annotations__ = {} if value is None else {"return": value}
    load.__module__, load.__qualname__ = "hub", f"cache({name!r})"
    unknown = set(settings) - {"ttl", "stale", "tags", "maxsize", "version", "codec"}
    if unknown:
        raise TypeError(f"{_place(load)} has no setting {sorted(unknown)[0]!r}")
    return _decorate(load, _settings(**settings, key=f"{name}:{{key}}", hub=in_hub))


def _settings(ttl="5m", stale=None, tags=(), key=None, maxsize=10_000, version=1, codec=None, hub=None):
    return _Settings(ttl, stale, tags, key, maxsize, version, codec, hub)


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
Cached.blocking = property(Blocking)
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
        os.register_at_fork(after_in_child=_forget_loops)


_register()
