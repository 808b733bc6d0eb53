"""How a task of a process under check changes rows: by key, by tag, all at once, or through the cache."""

from enum import Enum, auto

from record import Class, Kind, Outcome, Scope, now
from rows import KEYS, TAGS, Row, shelf_of, tag_of

from tierce import StoreError

LONGEST_STEP_S = 0.02
"""The longest time between taking hold of a key, its commit and the end of the hold."""

BURST_EVERY, BURST_S = 6, 0.03
"""Of so many changes one is the first of several of the same things, with so much between two at most."""


class Call(Enum):
    INVALIDATE_TAG = auto()
    PURGE_HUB = auto()
    PURGE = auto()
    SET_THROUGH = auto()
    HOLD_AND_SET = auto()
    HOLD = auto()
    MARK_STALE = auto()
    INVALIDATE_MANY = auto()
    INVALIDATE = auto()


COMMIT = {Call.SET_THROUGH, Call.HOLD_AND_SET, Call.HOLD}
"""Those that commit themselves."""


def _call(chance):
    drawn, one_in_four = chance.randrange(16), chance.randrange(4) == 0
    if drawn < 6:
        return Call.INVALIDATE_TAG, Scope.TAG if drawn < 3 else Scope.RESULT_TAG
    if drawn == 6:
        return Call.PURGE_HUB if one_in_four else Call.PURGE, Scope.ALL
    if drawn >= 14:
        return Call.HOLD_AND_SET if one_in_four else Call.HOLD, Scope.KEY
    of_key = {7: Call.MARK_STALE, 8: Call.INVALIDATE_MANY, 12: Call.SET_THROUGH, 13: Call.SET_THROUGH}
    return of_key.get(drawn, Call.INVALIDATE), Scope.KEY


def _ends(scope, subject, key):
    """Whether a change of this scope ends this key."""
    of_key = {Scope.KEY: key, Scope.TAG: tag_of(key), Scope.RESULT_TAG: shelf_of(key), Scope.ALL: subject}
    return of_key[scope] == subject


class Changes:
    """One task's."""

    def __init__(self, world, chance):
        self._world, self._chance = world, chance
        self.doing = None

    async def one(self, key):
        chance = self._chance
        call, scope = _call(chance)
        subject = {Scope.KEY: key, Scope.ALL: 0}.get(scope, chance.randrange(TAGS))
        times = chance.randrange(2, 6) if chance.randrange(BURST_EVERY) == 0 else 1
        for time in range(times):
            if time:
                await self._world.way.sleep(BURST_S * chance.random())
            await self._once(call, scope, subject)

    async def _once(self, call, scope, subject):
        link, chance = self._world.link, self._chance
        if call not in COMMIT:
            for key in range(KEYS):
                if _ends(scope, subject, key):
                    await self._world.way.ask(Kind.COMMIT, key)
        id = link.number()
        begin = link.begins(Kind.BEGUN, scope, Class.AGED, subject, id)
        self.doing = Kind.CHANGED, scope, Class.AGED, subject, begin
        # What is told begins when its row was committed: what is older than that must be gone.
        committed = [begin]
        patience = chance.randrange(3) / 1000 if chance.randrange(20) == 0 else None
        outcome = Outcome.OK
        try:
            async with self._world.way.within(patience) as time:
                await self._tell(call, scope, subject, committed)
        except TimeoutError:
            if not time.expired():
                raise
            outcome = Outcome.LEFT
        except StoreError:
            outcome = Outcome.FAILED
        link.ended(Kind.CHANGED, outcome, scope, Class.AGED, subject, begin, committed[0], id)

    async def _tell(self, call, scope, subject, committed):
        cache = self._world.cache
        match call:
            case Call.INVALIDATE_TAG:
                await cache.invalidate_tag(f"{'tag' if scope == Scope.TAG else 'result'}-{subject}")
            case Call.PURGE_HUB:
                await cache.purge()
            case Call.PURGE:
                await cache.clear()
            case Call.SET_THROUGH:
                await cache.set_through(subject, lambda: self._commit(subject, committed))
            case Call.HOLD_AND_SET | Call.HOLD:
                async with cache.hold(subject) as hold:
                    row = await self._commit(subject, committed)
                    await (hold.set(row) if call is Call.HOLD_AND_SET else hold.invalidate())
            case Call.MARK_STALE:
                await cache.mark_stale(subject)
            case Call.INVALIDATE_MANY:
                await cache.invalidate_many([subject])
            case Call.INVALIDATE:
                await cache.invalidate(subject)

    async def _commit(self, key, committed):
        """Commits a row under a hold; the new one."""
        way = self._world.way
        await way.sleep(LONGEST_STEP_S * self._chance.random())
        version = await way.ask(Kind.COMMIT, key)
        committed[0] = now()
        await way.sleep(LONGEST_STEP_S * self._chance.random())
        return Row.of(key, version)
