"""Long chains of what holds the next alone go without an overflow of the stack."""

import subprocess
import sys

import pytest

# On a thread with a small stack, so that few suffice: the test is about the depth, and not about memory.
PROGRAM = """
import gc, threading, tierce

def lru(held):
    made = tierce.lru_cache(lambda: held)
    made()
    return made

def lru_of_all(held):
    made = tierce.lru_cache(maxsize=None)(lambda x: held)
    made(1)
    return made

def in_the_dict(made, held):
    made.held = held
    return made

@tierce.memo
def keyed(x, y):
    return x

def memo(held):
    made = tierce.memo(id)
    made.set(held, 1)
    return made

@tierce.memo
async def brought(held):
    return held

def ready(held):
    # What was loaded may be a hit that nobody has awaited.
    brought._put(brought.key(1), held, 1)
    return brought(1)

def mixed(held):
    return [lru, memo, lambda held: keyed.key((held,), 0), lambda held: [held]][next(turn) % 4](held)

turn = iter(range(10**9))
CHAINS = {
    "lru_cache": lru,
    "lru_cache of any size": lru_of_all,
    "lru_cache, by an attribute": lambda held: in_the_dict(tierce.lru_cache(id), held),
    "memo": memo,
    "memo, by an attribute": lambda held: in_the_dict(tierce.memo(id), held),
    "cached, by an attribute": lambda held: in_the_dict(tierce.cached(brought.__wrapped__), held),
    "keys": lambda held: keyed.key(held, 0),
    "hits": ready,
    "all of them": mixed,
}

class Last:
    gone = 0

    def __del__(self):
        Last.gone += 1

def chain(make):
    held = Last()
    for _ in range(LENGTH):
        held = make(held)
    brought.cache_clear()
    return held

def run(make):
    held = chain(make)
    del held
    gc.collect()
    assert Last.gone == 1, "the end of the chain is still there"
    # The collector of cycles takes apart what is in one.
    held = chain(make)
    ring = [held]
    ring.append(ring)
    del held, ring
    gc.collect()
    assert Last.gone == 2, "the end of the chain in a circle is still there"

threading.stack_size(256 * 1024)
thread = threading.Thread(target=run, args=(CHAINS[WHICH],))
thread.start()
thread.join()
assert Last.gone == 2
"""

# Each is as long as it takes to fail where none is put off; to make a `cached` or a `memo` takes its time.
LENGTHS = {
    "lru_cache": 20_000, "lru_cache of any size": 20_000, "lru_cache, by an attribute": 20_000, "memo": 5000,
    "memo, by an attribute": 5000, "cached, by an attribute": 3000, "keys": 20_000, "hits": 20_000, "all of them": 10_000,
}  # fmt: skip


@pytest.mark.parametrize("which", LENGTHS)
def test_a_long_chain_goes_without_an_overflow_of_the_stack(which):
    code = f"WHICH, LENGTH = {which!r}, {LENGTHS[which]}\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
