"""The bounded mappings."""

import copy
import pickle
import threading
import time
from datetime import timedelta

import pytest

from tierce import Cache, FIFOCache, LFUCache, LRUCache, RRCache, TLRUCache, TTLCache


class Timer:
    def __init__(self):
        self.time = 0

    def __call__(self):
        return self.time


def identity(value):
    return value


@pytest.mark.parametrize(
    "kind, gone",
    [(FIFOCache, 1), (LRUCache, 2), (LFUCache, 3)],
)
def test_which_entry_makes_room(kind, gone):
    told = []
    mapping = kind(3, listener=lambda *what: told.append(what))
    mapping[1] = mapping[2] = mapping[3] = "x"
    mapping[1], mapping[1], mapping[2], mapping[1], mapping[3], mapping[2] if kind is LFUCache else None
    if kind is LRUCache:
        mapping[1], mapping[3]
    mapping[4] = "y"
    assert told == [(gone, "x", "evict")]


def test_chance_or_a_choice():
    mapping = RRCache(2, choice=min)
    mapping[5] = mapping[1] = mapping[3] = 0
    assert set(mapping) == {5, 3}


def test_entries_expire_at_the_time_they_are_asked_for():
    told, timer = [], Timer()
    mapping = TTLCache(3, ttl=10, timer=timer, listener=lambda *what: told.append(what))
    mapping["a"] = None
    timer.time = 9
    assert mapping["a"] is None and "a" in mapping
    timer.time = 10
    assert "a" not in mapping and mapping.get("a", 5) == 5 and list(mapping) == []
    with pytest.raises(KeyError):
        mapping["a"]
    assert len(mapping) == 0 and told == [("a", None, "expire")]
    assert TTLCache(3, ttl="5m").ttl == 300


def test_each_entry_may_have_an_end_of_its_own():
    timer = Timer()
    mapping = TLRUCache(10, lambda key, value, now: now + value, timer=timer)
    mapping["a"], mapping["b"], mapping["c"] = 5, 1, 0
    assert "c" not in mapping
    timer.time = 1
    assert mapping.expire() == [("b", 1)] and list(mapping) == ["a"]


def test_sizes_bound_what_fits():
    mapping = LRUCache(10, getsizeof=identity)
    mapping["a"], mapping["b"] = 4, 5
    mapping["a"] = 6
    assert list(mapping.items()) == [("a", 6)] and mapping.currsize == 6
    with pytest.raises(ValueError, match="too large"):
        mapping["c"] = 11


@pytest.mark.parametrize("kind", [FIFOCache, LRUCache, LFUCache, RRCache, lambda size: TTLCache(size, ttl=60)])
def test_copies_and_pickles_stand_alone(kind):
    mapping = kind(3)
    mapping[1] = mapping[2] = "x"
    for other in (copy.copy(mapping), copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        other[3] = other[4] = "y"
        assert len(other) == 3
    assert dict(mapping) == {1: "x", 2: "x"} and mapping.invalidate(1) and not mapping.invalidate(1)


@pytest.mark.parametrize("kind", [FIFOCache, LRUCache, LFUCache, RRCache, lambda size: TTLCache(size, ttl=0.001)])
def test_threads_do_everything_at_once(kind):
    mapping = kind(20)
    errors = []

    def run(seed):
        try:
            for at in range(3000):
                key = (at * seed) % 50
                mapping[key] = key
                assert mapping.get(key, key) == key
                mapping.pop((key + 1) % 50, None)
                assert len(mapping) <= 20
                list(mapping)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(seed,), daemon=True) for seed in (1, 3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert mapping.currsize <= 20


def test_a_listener_may_use_the_mapping():
    def listener(key, value, reason):
        if key < 10:
            mapping[key + 100] = value

    mapping = LRUCache(2, listener=listener)
    for key in range(5):
        mapping[key] = key
    assert len(mapping) == 2


def test_what_goes_between_a_key_and_its_value_is_skipped():
    timer = Timer()
    mapping = TTLCache(10, ttl=1, timer=timer)
    mapping[1] = mapping[2] = mapping[3] = "x"
    for walk in (mapping.items, mapping.values):
        timer.time = 0
        mapping[1] = mapping[2] = mapping[3] = "x"
        for _ in walk():
            timer.time = 1
    lru = LRUCache(2)
    lru[1] = lru[2] = "x"
    seen = []
    for key, value in lru.items():
        seen.append(key)
        lru[key + 10] = lru[key + 20] = value
    assert seen == [1] and "x" in lru.values() and lru == dict(lru.items())


def test_views_hold_while_threads_change_the_mapping():
    mapping = LRUCache(5)
    end = threading.Event()
    errors = []

    def change():
        number = 0
        while not end.is_set():
            number += 1
            mapping[number % 50] = number

    def look():
        try:
            for _ in range(3000):
                list(mapping.items()), list(mapping.values()), mapping == {}
        except KeyError as error:
            errors.append(error)

    import sys

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        changing = threading.Thread(target=change, daemon=True)
        changing.start()
        look()
    finally:
        end.set()
        sys.setswitchinterval(interval)
    changing.join(30)
    assert errors == []


def test_a_listener_that_raises_is_told_of_the_rest():
    told = []

    def listener(key, value, reason):
        told.append(key)
        raise LookupError(key)

    mapping = LRUCache(3, getsizeof=identity, listener=listener)
    mapping[1] = mapping[2] = mapping[3] = 1
    with pytest.raises(LookupError, match="1"):
        mapping[4] = 3
    assert told == [1, 2, 3] and mapping[4] == 3


def test_methods_of_a_derived_class_are_what_the_others_go_through():
    class Texts(LRUCache):
        def __contains__(self, key):
            return super().__contains__(str(key))

        def __getitem__(self, key):
            return super().__getitem__(str(key))

        def __setitem__(self, key, value):
            super().__setitem__(str(key), value)

        def __delitem__(self, key):
            deleted.append(key)
            super().__delitem__(str(key))

        def popitem(self):
            popped.append(super().popitem())
            return popped[-1]

    deleted, popped = [], []
    mapping = Texts(2)
    mapping[1] = "a"
    assert mapping.get(1) == "a" and mapping.setdefault(1, "b") == "a" and mapping.setdefault(2, "b") == "b"
    mapping[3] = "c"
    assert popped == [("1", "a")] and deleted == ["1"] and dict(mapping.items()) == {"2": "b", "3": "c"}
    assert mapping.pop(2) == "b" and mapping.invalidate(3) and not mapping.invalidate(3) and mapping.pop(3, None) is None
    assert deleted == ["1", 2, 3] and mapping.currsize == 0


def test_setdefault_asks_for_a_size_without_the_lock():
    def sized(value):
        other = threading.Thread(target=lambda: got.append(len(mapping)), daemon=True)
        other.start()
        other.join(5)
        return 1

    got = []
    mapping = LRUCache(5, getsizeof=sized)
    mapping.setdefault(1, 2)
    assert got == [0] and mapping[1] == 2


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: LRUCache("10"), "maxsize='10' is no number"),
        (lambda: LRUCache(None), "math.inf for no bound"),
        (lambda: LRUCache(5, getsizeof=3), "getsizeof=3 cannot be called"),
        (lambda: LRUCache(5, listener=3), "listener=3 cannot be called"),
        (lambda: TTLCache(5, None), "ttl=None cannot be added"),
        (lambda: TTLCache(5, []), r"ttl=\[\] cannot be added"),
        (lambda: TTLCache(5, timedelta(minutes=1), time.time), "write seconds"),
        (lambda: TLRUCache(5, 3), "ttu=3 cannot be called"),
        (lambda: LRUCache(5, getsizeof=str).__setitem__(1, 1), "getsizeof gave '1', which is no number"),
    ],
)
def test_what_cannot_be_says_what_to_do(make, says):
    with pytest.raises(TypeError, match=says):
        make()


@pytest.mark.parametrize("kind", [Cache, FIFOCache, LRUCache, LFUCache, RRCache])
def test_a_mapping_is_pickled_by_the_name_it_has_for_its_users(kind):
    from tierce import mapping

    assert kind.__module__ == "tierce.mapping" and getattr(mapping, kind.__name__) is kind
    # As one that was written when all of them stood in one file.
    written = f"ctierce.mapping\n{kind.__name__}\n"
    assert pickle.loads(f"{written}.".encode()) is kind and pickle.dumps(kind, 0).startswith(written.encode())
    full = kind(3)
    full[1] = "one"
    for version in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(full, version))
        assert type(again) is kind and dict(again.items()) == {1: "one"} and again.maxsize == 3
