"""What the tasks of a process under check share: its hub, and its cache as either face of the package has it."""

import asyncio
import random
from copy import copy
from functools import partial

from record import Class, Kind, Outcome, now
from rows import KEYS, Row, tag_of
from way import OnLoop, OnThread, drive

from tierce import Hub

LONGEST_S, LONG_S, LONG_KEYS = 0.03, 0.4, 4
"""Of a load: as in loader.rs. The last keys take so long in every second load."""

FAIL_EVERY = 25
"""Of so many loads one fails."""

TTL = "1h"
"""Rows outlive any fault: nothing becomes right by expiring."""


class Failure(Exception):
    """A failed load, by its number."""

    def __init__(self, id):
        super().__init__(id)
        self.id = id


async def load(link, way, key):
    """Loads a row: slowly, and now and then it fails."""
    id, begin = link.number(), now()
    await way.sleep(random.random() / 1000)
    version = await way.ask(Kind.ROW, key)
    # What is read is some time old when it is brought.
    await way.sleep(_pause(key))
    if random.randrange(FAIL_EVERY) == 0:
        link.ended(Kind.LOAD, Outcome.FAILED, subject=key, begin=begin, id=id)
        raise Failure(id)
    link.ended(Kind.LOAD, subject=key, begin=begin, version=version, id=id)
    return Row.of(key, version)


def _pause(key):
    """Most are quick."""
    if key >= KEYS - LONG_KEYS and random.random() < 0.5:
        return LONG_S * random.random()
    return LONGEST_S * random.random() if random.random() < 0.5 else random.random() / 2000


class Function:
    """The cache as a cached function has it. Its verbs take the arguments of a call."""

    def __init__(self, hub, link, way):
        @hub.cached(ttl=TTL, key="row:{key}", tags=["tag-{tag}", "result-{result.shelf}"])
        async def row(key: int, tag: int) -> Row:
            return await load(link, way, key)

        self._row = row
        self.clear, self.invalidate_tag, self.purge = row.clear, hub.invalidate_tag, hub.purge

    def __getattr__(self, verb):
        """A verb of the function, for a key."""
        of_call = getattr(self._row, verb)
        made = self.__dict__[verb] = lambda key: of_call(key, tag_of(key))
        return made

    def load(self, key):
        return self._row(key, tag_of(key))

    def invalidate_many(self, keys):
        """Of a function of one argument alone."""
        return asyncio.gather(*map(self.invalidate, keys))

    def set_through(self, key, write):
        return self._row.set_through(write, key, tag_of(key))


class Keyed:
    """The cache as `Hub.cache` has it, by keys that are said at each call."""

    refresh = None
    """It has none."""

    def __init__(self, hub, link, way):
        self._cache = hub.cache("row", Row, ttl=TTL, tags=["result-{result.shelf}"])
        self._load = partial(load, link, way)
        self.invalidate_tag, self.purge = hub.invalidate_tag, hub.purge

    def __getattr__(self, verb):
        made = self.__dict__[verb] = getattr(self._cache, verb)
        return made

    def load(self, key):
        return self._cache.get_or_load(key, self._load, tags=[f"tag-{tag_of(key)}"])


class Plain:
    """That cache for code that runs on no loop: each verb waits on its thread."""

    refresh = None

    def __init__(self, hub, cache, link, way):
        self._cache = cache
        self.peek = cache.peek
        self._load = lambda key: drive(load(link, way, key))
        self.invalidate_tag, self.purge = map(_at_once, (hub.blocking.invalidate_tag, hub.blocking.purge))

    def __getattr__(self, verb):
        made = self.__dict__[verb] = _at_once(getattr(self._cache.blocking, verb))
        return made

    async def load(self, key):
        return self._cache.blocking.get_or_load(key, self._load, tags=[f"tag-{tag_of(key)}"])

    async def set_through(self, key, write):
        return self._cache.blocking.set_through(key, lambda: drive(write()))

    def hold(self, key):
        return _Hold(self._cache.hold(key))


def _at_once(verb):
    async def called(*args):
        return verb(*args)

    return called


class _Hold:
    """A hold of plain code, used as one of a coroutine."""

    def __init__(self, hold):
        self._hold = hold

    async def __aenter__(self):
        held = self._hold.__enter__()
        self.set, self.invalidate = _at_once(held.set), _at_once(held.invalidate)
        return self

    async def __aexit__(self, *error):
        return self._hold.__exit__(*error)


class World:
    """The hub, its cache, and how long it believes what it has in memory."""

    def __init__(self, given, link):
        self.link, self.way = link, OnLoop(link)
        bounds = {"coherence": given.coherence / 1000}
        if given.belief == "bypass":
            bounds["serve_for"] = 0
        elif given.belief == "serve-for":
            bounds["serve_for"] = given.serve_for / 1000
        else:
            bounds["memory_age"] = given.memory_age / 1000
        self._belief = given.belief
        self.hub = Hub(given.store, namespace=given.namespace, **bounds)
        self.cache = (Function if given.number % 2 == 0 else Keyed)(self.hub, link, self.way)

    def of_threads(self):
        """The same for tasks on threads of their own; None where loads need a loop."""
        if type(self.cache) is Function:
            return None
        other = copy(self)
        other.way = OnThread(self.link)
        other.cache = Plain(self.hub, self.cache._cache, self.link, other.way)
        return other

    def is_told(self):
        """Whether the store tells this process of all changes; None of one that never does."""
        health = self.hub.health()
        return "memory coherent" in health if "memory" in health else None

    def troubles(self):
        """Requests that the store failed, entries that were damaged, changes it has yet to be told of."""
        return self.hub._hub._troubles(True)

    def plain_class(self):
        """What a plain read that begins now is promised, by what this process says of itself."""
        if self._belief == "bypass":
            return Class.BYPASSING
        if self._belief == "serve-for":
            return Class.COHERENT if self.is_told() else Class.CUT_OFF
        return Class.AGED
