"""What a signal's handler raises in the middle of an operation leaves the mappings whole, and their locks free."""

import copy
import threading
from queue import Empty, SimpleQueue

import pytest
from interrupting import interrupted

from tierce import Cache, FIFOCache, LFUCache, LRUCache, RRCache, TLRUCache, TTLCache, memo
from tierce.compat import cachetools
from tierce.flight import loading


class Timer:
    def __init__(self):
        self.time = 0

    def __call__(self):
        return self.time


class Key:
    """Its hash and == are Python's, so that an interruption gets into the operations of dicts too."""

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return hash(self.number)

    def __eq__(self, other):
        return isinstance(other, Key) and self.number == other.number

    def __repr__(self):
        return f"Key({self.number})"


def size(value):
    return value


KINDS = {
    "Cache": lambda timer, **more: Cache(12, size, **more),
    "FIFO": lambda timer, **more: FIFOCache(12, size, **more),
    "LRU": lambda timer, **more: LRUCache(12, size, **more),
    "LFU": lambda timer, **more: LFUCache(12, size, **more),
    "RR": lambda timer, **more: RRCache(12, getsizeof=size, **more),
    "TTL": lambda timer, **more: TTLCache(12, 10, timer, size, **more),
    "TLRU": lambda timer, **more: TLRUCache(12, lambda key, value, now: now + 10, timer, size, **more),
}

ACTIONS = {
    "set": lambda mapping, key: mapping.__setitem__(key(9), 2),
    "set with room to make": lambda mapping, key: mapping.__setitem__(key(9), 8),
    "set again": lambda mapping, key: mapping.__setitem__(key(1), 5),
    "set again with room to make": lambda mapping, key: mapping.__setitem__(key(1), 11),
    "get": lambda mapping, key: (mapping[key(1)], mapping.get(key(2)), mapping.get(key(9)), key(3) in mapping),
    "delete": lambda mapping, key: mapping.__delitem__(key(2)),
    "pop": lambda mapping, key: (mapping.pop(key(2)), mapping.pop(key(9), None)),
    "popitem": lambda mapping, key: mapping.popitem(),
    "setdefault": lambda mapping, key: (mapping.setdefault(key(1), 1), mapping.setdefault(key(9), 9)),
    "invalidate": lambda mapping, key: (mapping.invalidate(key(3)), mapping.invalidate(key(9))),
    "clear": lambda mapping, key: mapping.clear(),
    "look": lambda mapping, key: (list(mapping.items()), len(mapping), mapping.currsize, repr(mapping)),
    "update": lambda mapping, key: mapping.update({key(7): 3, key(8): 4}),
    "copy": lambda mapping, key: copy.copy(mapping),
}


class Elsewhere:
    """Another thread, which runs one function after the other."""

    def __init__(self):
        self.asked, self.told = SimpleQueue(), SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            function = self.asked.get()
            self.told.put(function())
            del function


others = []


def elsewhere(function):
    """Runs it on another thread: a lock that was left held stops that one."""
    other = others.pop() if others else Elsewhere()
    other.asked.put(function)
    try:
        got = other.told.get(timeout=20)
    except Empty:
        raise AssertionError("the lock is held") from None
    others.append(other)
    return got


def check_sound(mapping, key):
    held = elsewhere(lambda: dict(mapping.items()))
    assert len(mapping) == len(held) == len(list(mapping)) == len(set(mapping))
    assert mapping.currsize == sum(held.values()) <= 12
    assert all(one in mapping and mapping[one] == value for one, value in held.items())
    # It works on, and what makes room is what is there.
    for number in range(20, 26):
        mapping[key(number)] = 4
    there = dict(mapping.items())
    assert 8 <= mapping.currsize == sum(there.values()) <= 12
    gone = dict(mapping.popitem() for _ in range(len(mapping)))
    assert gone == there and len(mapping) == mapping.currsize == 0


@pytest.mark.parametrize("key", [int, Key])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_leaves_a_mapping_whole_and_its_lock_free(kind, action, key):
    made = []

    def run(at):
        mapping = KINDS[kind](Timer())
        mapping[key(1)], mapping[key(2)], mapping[key(3)] = 1, 2, 3
        made.append(mapping)
        with at:
            ACTIONS[action](mapping, key)

    places = 0
    for _ in interrupted(run):
        places += 1
        check_sound(made[-1], key)
    assert places > 1


@pytest.mark.parametrize("kind", ["TTL", "TLRU"])
def test_an_interruption_while_entries_expire_leaves_a_clock_that_runs(kind):
    made = []

    def run(at):
        timer, told = Timer(), []
        mapping = KINDS[kind](timer, listener=lambda *what: told.append(what))
        mapping[1], mapping[2] = 1, 2
        timer.time = 5
        mapping[3] = 3
        timer.time = 12
        made.append((mapping, timer))
        with at:
            mapping.expire()
            mapping[4] = 4

    for _ in interrupted(run):
        mapping, timer = made[-1]
        assert elsewhere(lambda: set(mapping)) in ({3}, {3, 4})
        timer.time = 100
        assert elsewhere(lambda: len(mapping)) == 0 and mapping.currsize == 0
        check_sound(mapping, int)


def test_an_interrupted_load_leaves_nothing_behind():
    made = []

    def run(at):
        @memo
        def inner(x):
            return x

        @memo
        def outer(x):
            return inner(x)

        made.append(outer)
        with at:
            outer(1), outer.refresh(1), outer.invalidate(1), outer.set(1, 1), outer.peek(1)

    for _ in interrupted(run):
        assert loading.get() is None
        assert elsewhere(lambda: made[-1](1)) == 1 and made[-1](2) == 2


def test_an_interrupted_load_of_a_condition_keeps_nobody_waiting():
    made = []

    def run(at):
        # A lock beside the condition: to enter a Condition is Python code, which an interruption leaves with its lock held.
        lock = threading.Lock()
        function = cachetools.cached({}, lock=lock, condition=threading.Condition(lock), info=True)(lambda x: x)
        made.append(function)
        with at:
            function(1)

    for _ in interrupted(run):
        assert elsewhere(lambda: made[-1](1)) == 1
