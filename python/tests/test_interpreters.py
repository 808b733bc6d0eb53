"""What the module says of itself to interpreters that are not the usual one."""

import ctypes
import subprocess
import sys
import sysconfig

import pytest

from tierce import _tierce

REFUSED = """
import sys
%s
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
one = %s
program = '''
import sys
sys.path[:] = %%r
try:
    import tierce
except ImportError as error:
    assert "subinterpreters" in str(error), error
else:
    raise AssertionError("imported")
''' %% (sys.path,)
if hasattr(interpreters, "exec"):
    failure = interpreters.exec(one, program)
    assert failure is None, failure
else:
    interpreters.run_string(one, program)
import tierce
assert tierce.cache(lambda: 5)() == 5
print("refused")
"""
# One that shares the interpreter's lock, as mod_wsgi's do, and one with a lock of its own.
KINDS = ["interpreters.create(isolated=False)"] if sys.version_info < (3, 13) else ["interpreters.create('legacy')"]
KINDS += ["interpreters.create()"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", ["import tierce", ""], ids=["after the main one", "before the main one"])
def test_a_subinterpreter_is_refused_with_a_sentence(kind, first):
    done = subprocess.run([sys.executable, "-c", REFUSED % (first, kind)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "refused", done.stderr


def declared():
    """The slots of the module's definition, by their numbers in moduleobject.h."""
    assert ctypes.sizeof(ctypes.c_void_p) == 8 and not sysconfig.get_config_var("Py_GIL_DISABLED")
    begin = ctypes.PyDLL(_tierce.__file__).PyInit__tierce
    begin.restype = ctypes.c_void_p
    # PyModuleDef: its base of five words, then name, doc, size and methods.
    at = ctypes.c_void_p.from_address(begin() + 9 * 8).value
    slots = {}
    while number := ctypes.c_int.from_address(at).value:
        slots[number] = ctypes.c_void_p.from_address(at + 8).value or 0
        at += 16
    return slots


def test_the_module_declares_that_it_needs_the_lock_and_one_interpreter():
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert sys._is_gil_enabled(), "the import has turned it on"
        return
    slots = declared()
    # Py_mod_gil is 4: where it is missing, or 0, an interpreter without the lock turns it on. Py_mod_multiple_interpreters is 3.
    assert slots.get(4, 0) == 0
    assert slots.get(3) == (None if sys.version_info < (3, 12) else 0)
