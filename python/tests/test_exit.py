"""A process that ends while daemon threads are inside a cached function ends as it would without."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, threading, time, tierce
begun = threading.Semaphore(0)

def busy(x):
    begun.release()
    while True:
        time.sleep(0.001)

async def busy_async(x):
    busy(x)

functions = {
    "lru_cache": tierce.lru_cache(busy),
    "memo": tierce.memo(busy),
    "memo of a coroutine function": lambda x: asyncio.run(memo(x)),
    "cached": lambda x: asyncio.run(cached(x)),
    "cached, a plain function": tierce.cached(busy),
}
memo, cached = tierce.memo(busy_async), tierce.cached(busy_async)
for x in range(4):
    threading.Thread(target=functions[WHICH], args=(x,), daemon=True).start()
for _ in range(4):
    begun.acquire()
"""


@pytest.mark.parametrize("which", ["lru_cache", "memo", "memo of a coroutine function", "cached", "cached, a plain function"])
def test_daemon_threads_inside_a_function_do_not_abort_the_end(which):
    done = subprocess.run([sys.executable, "-c", f"WHICH = {which!r}\n{PROGRAM}"], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


AT_EXIT = """
import atexit, time
began = time.monotonic()
def report():
    print(function(2), time.monotonic() - began < 20)
# What is registered first runs last: the package is about to end by then.
atexit.register(report)
import tierce
@tierce.cached
def function(x):
    return x * 2
assert function(1) == 2
"""


def test_a_plain_function_loads_while_the_process_ends():
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4 True\n", "")
