"""`Hub`: what cached functions share, and the store beside this process."""

import os
import re
import weakref
from itertools import count
from threading import RLock
from typing import NamedTuple

from ._tierce import Hub as _Hub
from .blocking import Blocking
from .duration import milliseconds
from .errors import NameTaken
from .program import is_imported_again

__all__ = ["Hub", "Server", "configure", "hub"]

_LONGEST_NAME = 64
"""The engine's own limit (LONGEST_NAME, in cache/builder.rs)."""


class Server(NamedTuple):
    """What a server of the store says of itself: facts are its INFO, or Memcached's stats, of all who use it."""

    address: str
    facts: dict


class Hub:
    """What cached functions share: tags, and the place of their values: this process, and a store beside it if one is named.

    url: "redis://[user:password@]host[:6379][/database]" (or valkey://),
        "memcached://host[:11211],host2,...", the same with TLS as rediss:// and
        memcacheds://, or "redis+unix:///path". Nothing is opened before the first
        question; a store that does not answer is no error: functions load then.
    namespace: what the names of all entries begin with, "tierce" unless said.
    store_budget: how long one lookup waits for the store at most; "50ms".
    coherence: what other processes change is served from memory here for no
        longer than this, where the store tells of changes (Redis); "150ms".
    memory_age: for how long memory is believed before the store is asked again;
        "1s" for Memcached, which tells nobody; with Redis as long as values are fresh.
    serve_for: for how long memory is served when the store cannot be reached;
        "10s". 0: not at all, each call loads.

    Raises ValueError for a URL or a time that is none, OSError for a file that the
    URL names.
    """

    def __init__(
        self, url=None, /, *, namespace=None, store_budget=None, coherence=None, memory_age=None, serve_for=None
    ):
        if url is not None and not isinstance(url, str):
            raise TypeError(f'{url!r} is no URL of a store, as "redis://127.0.0.1:6379" is')
        self._hub = _Hub(
            url,
            namespace,
            milliseconds(store_budget, "store_budget"),
            milliseconds(coherence, "coherence"),
            milliseconds(memory_age, "memory_age"),
            0 if serve_for == 0 and not isinstance(serve_for, bool) else milliseconds(serve_for, "serve_for"),
        )
        self._has_store = url is not None
        _look_at_files(url)
        self._namespace = namespace
        # Cached functions by the names of their caches.
        self._functions = weakref.WeakValueDictionary()
        # Caches by name, each with what was said when it was made.
        self._caches = {}

    def cached(self, function=None, /, **settings):
        """As tierce.cached, in this hub."""
        from .shared import cached

        return cached(function, hub=self, **settings)

    def cache(self, name, value=None, /, **settings):
        """A cache of this name, whose keys are said at each call: a KeyedCache.

        value: the type of its values, as a return annotation says it; for the store.
        Other settings are those of cached: ttl, stale, tags, maxsize, version, codec.
        Who asks for it again by the same words gets the same one.
        """
        from .keyed import KeyedCache

        with _one_at_a_time:
            said, made = self._caches.get(name, (None, None))
            if made is None:
                said, made = self._caches[name] = (value, settings), KeyedCache(self, name, value, settings)
        if said != (value, settings):
            raise ValueError(f"the cache {name!r} is there with other settings: make it once, and import it")
        return made

    @property
    def blocking(self):
        """The same verbs for code that runs on no loop: each waits on its thread."""
        return Blocking(self)

    def invalidate_tag(self, tag, /):
        """End all that has this tag, and all loads that will turn out to have it. To be awaited.

        Raises StoreError where the store could not be told; it is told as soon as it answers.
        """
        if not isinstance(tag, str):
            raise TypeError(f"invalidate_tag: {tag!r} is no tag: give its text")
        return self._hub._invalidate_tag(True, tag)

    def purge(self):
        """End all values of all caches, here and in the store. To be awaited."""
        return self._hub._purge(True)

    def close(self, within="10s"):
        """For shutdown: wait until no load runs, or the time is over; how many still run. To be awaited."""
        return self._hub._drain(True, milliseconds(within, "within"))

    async def info(self):
        """What the servers of the store say of themselves: a list of Server. Raises StoreError."""
        return [Server(*one) for one in await self._hub._servers(True)]

    def command(self, *parts):
        """Any command of Redis's, on the connection that is here: await hub.command("INCR", "visits"). To be awaited.

        Parts are str, bytes, int or float. Gives int, bytes, str, list, dict, None as
        the server answers. What tierce itself keeps begins with { l{ m{ or t{.
        Raises ValueError for what a shared connection cannot do (SUBSCRIBE, MULTI,
        BLPOP), StoreError for what the server says against it.
        """
        return self._hub._command(True, *map(_part, parts))

    def health(self):
        """What this process knows of its store, in one line; None without one. Asks nobody."""
        return self._hub._health(True)

    def _codec(self, function, name, version, codec):
        """How a function's values are packed; None where nothing is."""
        if not self._has_store:
            return None
        from .values import codec_of_function

        if codec is not None:
            return codec.codec(f"{self._namespace or 'tierce'}:{name}:{version}", name)
        return codec_of_function(function)

    def _add(self, name, place, make, function):
        """Makes a function under its name. Another's is refused, that of an older definition of itself is left to it."""
        with _one_at_a_time:
            chosen = name or re.sub(r"[^A-Za-z0-9_.-]", "-", place)[-_LONGEST_NAME:]
            other = self._functions.get(chosen)
            if other is not None and is_imported_again(function, other.__wrapped__):
                return self._take_over(chosen, other, make)
            if other is not None and other._place != place and (name or self._has_store):
                raise ValueError(f"the cache {chosen!r} is that of {other._place}: two functions may not share one")
            if self._has_store and not name:
                _refuse_nameless(place)
            for number in count(1):
                if number > 1 and self._has_store and "<locals>" in place:
                    # Their order may be another elsewhere, and one would be given the other's values.
                    raise ValueError(
                        'there is another of this name, and a store: tell them apart by key="name:{argument}"'
                    )
                end = f".{number}" if number > 1 else ""
                taken = chosen[: _LONGEST_NAME - len(end)] + end
                try:
                    made = make(taken)
                except NameTaken:
                    # Another's, or a load of one that is gone still runs under it.
                    continue
                self._functions[taken] = made
                return made

    def _take_over(self, name, first, make):
        """Makes a function under the name of the program's own copy of it, which shares its cache from then on.

        Not the other way round: what is read from the store is of the classes of the module that others import.
        """
        codec, aside = self._codec(*first._packs), ".program"
        first._bind_to(self._hub, name[: _LONGEST_NAME - len(aside)] + aside, codec)
        made = make(name)
        first._share(made, codec)
        made._first = first
        self._functions[name] = made
        return made


def _refuse_nameless(place):
    """A function made within another is one of many of that name, and a store would give each the values of all."""
    if "<locals>" in place:
        raise ValueError(
            f"{place} is made inside a function, and there is a store, which needs a name of its own for it: "
            'say key="name:{argument}"'
        )


def _look_at_files(url):
    """Those that the URL of an encrypted store names: one that can never be reached is told of at once."""
    scheme, _, rest = (url or "").partition("://")
    if scheme not in ("rediss", "valkeys", "memcacheds"):
        return
    from urllib.parse import parse_qs

    from .streams import context_of

    said = {name: values[-1] for name, values in parse_qs(rest.rpartition("?")[2]).items()}
    context_of(said.get("ca"), said.get("cert"), said.get("key"))


def _part(part):
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, (int, float)) and not isinstance(part, bool):
        return repr(part).encode()
    raise TypeError(f"{part!r} is no part of a command: give str, bytes, int or float")


_one_at_a_time = RLock()
_of_process = None


def hub():
    """The hub of functions that name none: TIERCE_URL and TIERCE_NAMESPACE in the environment, or configure, give it a store."""
    global _of_process
    with _one_at_a_time:
        if _of_process is None:
            _of_process = Hub(os.environ.get("TIERCE_URL"), namespace=os.environ.get("TIERCE_NAMESPACE"))
        return _of_process


def configure(url, /, **settings):
    """Name the store of the process's own hub, for the functions decorated before and after; gives the hub.

    Settings are those of Hub. What the functions had in memory is forgotten. Call
    it once, when the application begins; TIERCE_URL in the environment does the same.
    """
    with _one_at_a_time:
        same, made = hub(), Hub(url, **settings)
        functions = list(same._functions.items())
        # All of them before any: what cannot be packed leaves everything as it was.
        for name, function in functions:
            if not function._is_named:
                _refuse_nameless(function._place)
        codecs = [made._codec(*function._packs) for _, function in functions]
        firsts = [(function._first, function) for _, function in functions if function._first is not None]
        of_firsts = [made._codec(*first._packs) for first, _ in firsts]
        for (name, function), codec in zip(functions, codecs):
            function._bind_to(made._hub, name, codec)
        for (first, function), codec in zip(firsts, of_firsts):
            first._share(function, codec)
        # The same object as before: who has it already has the store too.
        same._hub, same._has_store = made._hub, made._has_store
        same._namespace = made._namespace
        return same


def _in_child():
    """Of a fork: who held the lock in the parent is not here to free it."""
    global _one_at_a_time
    _one_at_a_time = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
