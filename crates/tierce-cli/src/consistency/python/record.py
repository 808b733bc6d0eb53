"""What a process under check tells of itself and is told: `record.rs` says what each means, and compares the numbers."""

import struct
import time

RECORD = struct.Struct("<4BI4Q")
ORDER = struct.Struct("<BQQ")


class Kind:
    HELLO = 1
    BEGUN = 2
    CHANGED = 3
    READ = 4
    GET = 5
    LOAD = 6
    WATERMARK = 7
    TOLD = 8
    ROW = 9
    COMMIT = 10
    STUCK = 11
    REST = 12
    HEALTH = 13
    TROUBLE = 14


class Outcome:
    OK = 1
    FAILED = 2
    LEFT = 3
    MISSED = 4
    BROKEN = 5
    FOREIGN = 6


class Scope:
    KEY = 1
    TAG = 2
    RESULT_TAG = 3
    ALL = 4
    REFRESH = 5


class Class:
    BYPASSING = 1
    COHERENT = 2
    CUT_OFF = 3
    AGED = 4
    STRONG = 5
    ANEW = 6
    AT_REST = 7


class Order:
    ANSWER = 0
    STOP = 1
    READ_ALL = 2
    STEP_CLOCK = 3


def now():
    """Nanoseconds by the clock that all processes of this machine share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def signed(number):
    """The second half of 64 bits as negative numbers."""
    return number - (1 << 64) if number >> 63 else number
