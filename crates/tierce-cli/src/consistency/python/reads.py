"""How a task of a process under check reads: from memory where it may be, or what the store has, or what a load brings."""

import sys
from traceback import print_exc

from record import Class, Kind, Outcome, Scope, now
from world import Failure

GET, PEEK, REFRESH, LOAD = "get", "peek", "refresh", "load"

_DRAWN = [GET] * 20 + [PEEK] * 8 + [REFRESH] * 2 + [LOAD] * 226
"""Of 256 calls. A refresh always loads, so that there are few."""


class Reads:
    """One task's."""

    def __init__(self, world, chance):
        self._world, self._chance = world, chance
        self.doing = None

    async def one(self, key):
        """Reads a key, and in one of twenty cases leaves soon."""
        chance, world = self._chance, self._world
        link, called = world.link, chance.choice(_DRAWN)
        if called is REFRESH and world.cache.refresh is None:
            called = LOAD
        patience = chance.random() * 0.04 if chance.randrange(20) == 0 else None
        kind = Kind.GET if called in (GET, PEEK) else Kind.READ
        begin = now()
        # To be asked when the call has begun: who says now that he is told was told of all that was changed longer ago.
        of = Class.ANEW if called is REFRESH else world.plain_class()
        self.doing = kind, Scope.KEY, of, key, begin
        if called is REFRESH:
            refresh = link.number()
            begin = link.begins(Kind.BEGUN, Scope.REFRESH, of, key, refresh)
        reading = self._answer(called, key)
        outcome, version, id = await (reading if patience is None else self._within(patience, reading))
        link.ended(kind, outcome, Scope.KEY, of, key, begin, version, id)
        if called is REFRESH:
            link.ended(Kind.CHANGED, Outcome.OK, Scope.REFRESH, of, key, begin, 0, refresh)

    async def at_rest(self, key):
        """A plain read, once nothing is changed any more."""
        begin = now()
        outcome, version, id = await self._answer(LOAD, key)
        self._world.link.ended(Kind.READ, outcome, Scope.KEY, Class.AT_REST, key, begin, version, id)

    async def _answer(self, called, key):
        """How the call ended, the version it brought, and the number of the failure where it failed."""
        cache = self._world.cache
        try:
            row = cache.peek(key) if called is PEEK else await getattr(cache, called)(key)
        except Failure as failure:
            return Outcome.FAILED, 0, failure.id
        except Exception:
            print(f"tierce: a Python process, {called} of {key}:", file=sys.stderr)
            print_exc()
            return Outcome.BROKEN, 0, 0
        if row is None:
            return Outcome.MISSED, 0, 0
        return Outcome.OK if row.is_of(key) else Outcome.FOREIGN, row.version, 0

    async def _within(self, patience, reading):
        """An answer, unless its caller leaves before."""
        try:
            async with self._world.way.within(patience):
                return await reading
        except TimeoutError:
            return Outcome.LEFT, 0, 0
