"""Durations as people write them: "5m", 300, 1.5, timedelta(minutes=5)."""

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_EXAMPLES = 'write seconds, a timedelta, or "250ms", "10s", "5m", "1h", "7d", "1h30m"'

_END_S = 1e12
"""Some 30,000 years: two of them in milliseconds, and a clock's time, fit into 64 bits."""


def milliseconds(duration, name):
    """A duration in whole milliseconds, at least one; None stays None."""
    if duration is None:
        return None
    if isinstance(duration, str):
        return _written(duration, name)
    seconds = getattr(duration, "total_seconds", None)
    if seconds is not None:
        duration = seconds()
    if isinstance(duration, bool) or not isinstance(duration, (int, float)):
        raise TypeError(f"{name}={duration!r} is no duration: {_EXAMPLES}")
    if not 0 < duration < _END_S:
        raise ValueError(f"{name}={duration!r} is no time: {_EXAMPLES}, or leave {name} out")
    return max(1, round(duration * 1000))


def _written(text, name):
    import re

    parts = re.findall(r"([0-9]{1,15})\s*([a-z]+)\s*", text.strip())
    units = [_UNITS.get(unit, 0) for _, unit in parts]
    whole = re.fullmatch(r"([0-9]{1,15}\s*[a-z]+\s*)+", text.strip())
    # The largest unit first, each at most once.
    if not whole or 0 in units or units != sorted(set(units), reverse=True):
        raise ValueError(f"{name}={text!r} is no duration: {_EXAMPLES}")
    total = sum(int(number) * unit for (number, _), unit in zip(parts, units))
    if total == 0:
        raise ValueError(f"{name}={text!r} is no time at all: leave {name} out")
    if total >= _END_S * 1000:
        raise ValueError(f"{name}={text!r} is no time: {_EXAMPLES}, or leave {name} out")
    return total
