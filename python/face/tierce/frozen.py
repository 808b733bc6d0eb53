"""Values that nobody can change: what is shared among callers stays what it was."""

from types import MappingProxyType


def frozen(value):
    """The value with its lists as tuples, its sets as frozensets and its dicts read-only, all the way down.

    Other objects stay as they are. A value that contains itself raises RecursionError.
    """
    kind = type(value)
    if kind in (list, tuple):
        return tuple(map(frozen, value))
    if kind in (set, frozenset):
        return frozenset(value)
    if kind in (dict, MappingProxyType):
        return MappingProxyType({key: frozen(one) for key, one in value.items()})
    return bytes(value) if kind is bytearray else value
