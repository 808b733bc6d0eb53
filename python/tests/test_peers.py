"""cachetools' and async-lru's own tests, unchanged, against our drop-ins."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PEERS = Path(__file__).parent / "peers"

INSIDE = "looks into async-lru's private attributes"
LOOPS = "results outlive their loop, so that nothing is reset or warned of"
NO_TIMER = "what has expired counts in currsize until it is looked at or swept"

EXPECTED = {
    "cachetools-8.0.2": {},
    "async_lru-2.4.0": {
        "test_basic.py::test_alru_cache_dict_not_shared": INSIDE,
        "test_cache_clear.py::test_cache_clear_pending_task": INSIDE,
        "test_cache_clear.py::test_cache_clear_ttl_callback": INSIDE,
        "test_close.py::test_cache_close": "a load that is cancelled raises LoadCancelledError for those who wait",
        "test_deferred_annotations.py::test_method_wrapping_partial_without": "under pytest the type has empty __annotations__",
        "test_internals.py::test_": INSIDE,
        "test_size.py::test_alru_cache_removing_lru_keys": INSIDE,
        "test_thread_safety.py::test_cross_loop_auto_resets_cache": LOOPS,
        "test_thread_safety.py::test_cross_loop_preserves_stats_reset": LOOPS,
        "test_thread_safety.py::test_loop_change_": LOOPS,
        "test_ttl.py::test_ttl_infinite_cache": NO_TIMER,
        "test_ttl.py::test_ttl_with_jitter_basic": "replaces the module random in async_lru",
        "test_ttl.py::test_ttl_with_jitter_zero": NO_TIMER,
    },
}
"""Tests that end otherwise here, by the beginnings of their names, and why."""

if sys.version_info >= (3, 12):
    # A load that fails before it first waits has ended before the next task asks, who begins anew.
    EXPECTED["async_lru-2.4.0"]["test_exception.py::test_alru_exception"] = "a load begins at once where tasks can"
else:
    EXPECTED["async_lru-2.4.0"]["test_size.py::test_alru_cache_zero_max_size"] = "who asks while a load runs joins it, maxsize=0 too"


@pytest.mark.parametrize("peer, at_least", [("cachetools-8.0.2", 400), ("async_lru-2.4.0", 60)])
def test_the_tests_of_a_peer_pass(peer, at_least, tmp_path):
    results = tmp_path / "results"
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "dropin", "-c", os.devnull, "--rootdir", str(PEERS / peer),
        "--tb=short", str(PEERS / peer / "tests"),
    ]  # fmt: skip
    surroundings = {**os.environ, "PYTHONPATH": str(PEERS), "PEERS_RESULTS": str(results), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=PEERS / peer, env=surroundings, timeout=120)
    assert results.exists(), done.stdout + done.stderr
    ended = json.loads(results.read_text())
    expected = EXPECTED[peer]
    differ = {name for name in ended if any(name.startswith(one) for one in expected)}
    failed = {name for name, how in ended.items() if how == "failed"}
    assert failed - differ == set(), done.stdout[-20000:]
    # What has come to pass is to be taken off the list, and so is what is there no more.
    assert [one for one in expected if not any(name.startswith(one) for name in failed)] == []
    assert sum(how == "passed" for how in ended.values()) >= at_least
