"""A KeyboardInterrupt at each place where CPython runs the handler of a signal."""

import dis
import sys
from itertools import count

BACKWARD = {code for name, code in dis.opmap.items() if name.startswith("JUMP_BACKWARD")}
BACKWARD |= {code for code, name in enumerate(dis.opname) if name.startswith(("JUMP_BACKWARD", "POP_JUMP_BACKWARD"))}


def interrupted(action, within=""):
    """Calls action(at) again and again: what it does under `with at` is interrupted at one place after the other.

    Yields once for each place, after the interruption. within: only places in files whose names end so.
    """
    for number in count():
        at = _At(number, within)
        try:
            action(at)
        except KeyboardInterrupt:
            yield number
            continue
        assert not at.raised, f"the interruption at place {number} was swallowed"
        return


class _At:
    """Raises at the n-th place that is passed while it is entered.

    Those are: the beginning of a function, the end of a call of C, a jump backward. The eval loop looks nowhere else
    (`CHECK_EVAL_BREAKER`); a tracer that raised elsewhere, between a `with` and its block, would ask for what cannot be had.
    """

    def __init__(self, number, within):
        self.left = number
        self.within = within
        self.raised = False

    def _pass(self):
        if self.left == 0 and not self.raised:
            self.raised = True
            raise KeyboardInterrupt
        self.left -= 1

    def _profile(self, frame, event, _):
        code = frame.f_code
        if event in ("call", "c_return") and code is not _At.__exit__.__code__ and code.co_filename.endswith(self.within):
            self._pass()

    def _trace(self, frame, event, _):
        frame.f_trace_opcodes = True
        code = frame.f_code
        if event == "opcode" and code.co_code[frame.f_lasti] in BACKWARD and code.co_filename.endswith(self.within):
            self._pass()
        return self._trace

    def __enter__(self):
        sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def __exit__(self, *_):
        sys.setprofile(None)
        sys.settrace(None)
