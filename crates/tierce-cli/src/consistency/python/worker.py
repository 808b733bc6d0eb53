"""A process under check in Python: its hub, and tasks that do what applications do, by a seed; as `worker.rs` is in Rust.

`tierce check-consistency --python` starts it, and speaks with it as with the others.
"""

import argparse
import asyncio
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from traceback import print_exception

from changes import Changes
from link import TELLS_S, Link
from reads import Reads
from record import Class, Kind, Order, Outcome, Scope, now, signed
from rows import KEYS
from way import drive
from world import Failure, World

from tierce._tierce import testing

WATCHES_S, STALLED_S = 0.025, 0.15
"""How often a process looks how it is, and how long it does not get to run before that is told."""

THREAD_EVERY = 4
"""Of so many tasks one is plain code on a thread of its own, where plain code can load."""

ENDS_S = 15
"""How long its tasks may take to end what they have begun: longer than any lease."""


class Operations:
    """One task's doings: it reads mostly, changes now and then, and leaves in the middle of either."""

    def __init__(self, world, seed, reads):
        self._chance = random.Random(seed)
        self._world, self._every = world, reads
        self.reads, self.changes = Reads(world, self._chance), Changes(world, self._chance)
        self._last = self.reads

    @property
    def doing(self):
        """What it is doing, for one that does not end."""
        return self._last.doing

    async def run(self, stopped):
        chance, way = self._chance, self._world.way
        while not stopped.is_set():
            while not self._world.link.has_room():
                await way.sleep(TELLS_S)
            key = chance.randrange(4 if chance.random() < 0.5 else KEYS)
            # One change in three is of a key that may take long to load.
            is_change = chance.randrange(self._every) == 0
            if is_change and chance.randrange(3) == 0:
                key = KEYS - 1 - key % 4
            self._last = self.changes if is_change else self.reads
            await self._last.one(key)
            drawn = chance.randrange(8)
            if drawn == 0:
                await way.sleep(chance.randrange(1, 4) / 1000)
            elif drawn < 4:
                await way.sleep(0)


async def watch_health(world):
    """Tells when failed invalidations have reached the store, how the store was, and whether this process got to run."""
    link, faults, damaged = world.link, 0, 0
    while True:
        begin = now()
        await asyncio.sleep(WATCHES_S)
        if now() - begin > STALLED_S * 1e9:
            link.ended(Kind.TROUBLE, begin=begin)
        elif world.is_told() is False:
            link.ended(Kind.TROUBLE, Outcome.FAILED, begin=begin)
        failures = link.failures
        now_faults, now_damaged, untold = world.troubles()
        if untold == 0:
            link.told(failures)
        if (now_faults, now_damaged) != (faults, damaged):
            link.ended(Kind.HEALTH, begin=begin, version=now_faults - faults, id=now_damaged - damaged)
            faults, damaged = now_faults, now_damaged


async def wait_until_told(world):
    """Waits until the store has been told all that it could not be told, at most as long as a recovery may take."""
    try:
        async with asyncio.timeout(ENDS_S):
            while world.troubles()[2] > 0:
                # A lookup that asks the store sees to it that it is told.
                await world.cache.get(KEYS)
                await asyncio.sleep(0.02)
    except TimeoutError:
        world.link.ended(Kind.STUCK)
    else:
        world.link.ended(Kind.TOLD)


async def end(world, running):
    """Ends what is under way; what does not end, or fails by itself, is told."""
    for operations, task in running:
        done, _ = await asyncio.wait([task], timeout=ENDS_S)
        kind, scope, of, subject, begin = operations.doing or (Kind.READ, Scope.KEY, Class.AGED, 0, now())
        if not done:
            world.link.ended(Kind.STUCK, Outcome.OK, scope, of, subject, begin)
        elif error := task.exception():
            print_exception(error, file=sys.stderr)
            world.link.ended(Kind.READ, Outcome.BROKEN, scope, of, subject, begin)
    await wait_until_told(world)
    world.link.ended(Kind.REST)


def quiet(loop, context):
    """A failure that nobody waited for is as meant: who asked has left."""
    if not isinstance(context.get("exception"), Failure):
        loop.default_exception_handler(context)


async def work(given):
    asyncio.get_running_loop().set_exception_handler(quiet)
    link = await Link.open(given.parent, given.number)
    world = World(given, link)
    # What watches goes on while the others end.
    await asyncio.gather(watch_health(world), obey(given, world))


def begin(given, world, stopped):
    """Begins the tasks: each with its future."""
    loop, of_threads, running = asyncio.get_running_loop(), world.of_threads(), []
    threads = ThreadPoolExecutor(given.tasks)
    for task in range(given.tasks):
        is_plain = of_threads is not None and task % THREAD_EVERY == 0
        one = Operations(of_threads if is_plain else world, given.seed + (task << 32), given.reads)
        doing = one.run(stopped)
        future = loop.run_in_executor(threads, drive, doing) if is_plain else asyncio.create_task(doing)
        running.append((one, future))
    return running


async def obey(given, world):
    """Runs the tasks, and does what the parent orders."""
    link, stopped = world.link, asyncio.Event()
    running = begin(given, world, stopped)
    while True:
        order, number = await link.orders.get()
        if order == Order.STOP:
            stopped.set()
            await end(world, running)
            running = []
        elif order == Order.READ_ALL:
            reads = Reads(world, random.Random(given.seed))
            for key in range(KEYS):
                await reads.at_rest(key)
            link.ended(Kind.REST)
        elif order == Order.STEP_CLOCK:
            testing.step_wall_clock(signed(number) * 1000)


def arguments():
    """Those of a Rust process."""
    parser = argparse.ArgumentParser()
    for name in ("store", "namespace", "belief"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("parent", "number", "seed", "tasks", "reads", "coherence", "serve-for", "memory-age"):
        parser.add_argument(f"--{name}", required=True, type=int)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(work(arguments()))
