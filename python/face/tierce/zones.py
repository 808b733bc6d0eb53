"""Instants with a zone or a fold as text: ISO 8601, then in brackets what RFC 9557 has them for.

    2024-07-01T12:00:00+02:00[Europe/Berlin]
    2024-10-27T02:30:00[_fold=1]

What has neither is written and read without this module.
"""

import re
import sys
from datetime import timezone

_SUFFIXES = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\])+)")
_ZONE = re.compile(r"[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*")


def text_of(value):
    """The text of a datetime or a time; a tuple of a sentence for one that would not come back as it is."""
    zone, suffix = value.tzinfo, ""
    if type(zone) is timezone:
        if len(zone.__getinitargs__()) > 1:
            return ("has a timezone with a name of its own, which would be lost: leave the name out",)
    elif zone is not None:
        zoneinfo = sys.modules.get("zoneinfo")
        if zoneinfo is None or type(zone) is not zoneinfo.ZoneInfo or not _ZONE.fullmatch(zone.key or ""):
            kind = f"{type(zone).__module__}.{type(zone).__qualname__}"
            return (f"has a tzinfo that would be lost, a {kind}: use datetime.timezone, or a zoneinfo.ZoneInfo by its key",)
        suffix = f"[{zone.key}]"
    return value.isoformat() + suffix + ("[_fold=1]" if value.fold else "")


def from_text(kind, text):
    """The datetime or time of a text with brackets."""
    match = _SUFFIXES.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no text of an instant")
    value, zone, fold = kind.fromisoformat(match[1]), None, None
    for suffix in match[2][1:-1].split("]["):
        if suffix == "_fold=1":
            fold = 1
        elif suffix.startswith("!"):
            raise ValueError(f"{text!r} has the suffix {suffix!r}, which is unknown and may not be ignored")
        elif "=" not in suffix and suffix[0] not in "+-":
            zone = _zone(suffix)
    return _in_zone(value, zone, fold)


def _zone(name):
    from zoneinfo import ZoneInfo

    if not _ZONE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a zone")
    return ZoneInfo(name)


def _in_zone(value, zone, fold):
    """The value in its zone; of two equal hours the one that its offset tells, unless the fold is given."""
    offset = value.utcoffset()
    if zone is not None:
        value = value.replace(tzinfo=zone)
        if fold is None and offset is not None and value.utcoffset() != offset:
            fold = 1
    if fold is not None:
        value = value.replace(fold=fold)
    if zone is not None and offset is not None and value.utcoffset() != offset:
        raise ValueError(f"{offset} is no offset that {zone} has then")
    return value
