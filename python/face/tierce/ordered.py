"""Bounded mappings whose entries are in an order: FIFOCache and LRUCache."""

from collections import OrderedDict

from .bounded import KEY, NUMBER, Cache
from .step import NOTHING


def in_order(numbers, entries):
    """The entries in an order of their numbers that is known; those that have none there come last."""
    ordered = OrderedDict((number, entries[number]) for number in list(numbers) if number in entries)
    ordered.update(entries)
    return ordered


def first(ordered):
    """The first entry, or None."""
    # No call is between the iterator and its first, so that no guest can be.
    for entry in ordered.values():
        return entry
    return None


class FIFOCache(Cache):
    """A bounded mapping from which goes what was set first."""

    __module__ = "tierce.mapping"

    _containers = ("_data", "_order")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        self._order = OrderedDict()
        super().__init__(maxsize, getsizeof, listener=listener)

    def _derive(self, entries):
        self._order = in_order(self._order, entries)

    def _added(self, entry, older):
        if older is not None:
            self._order.pop(older[NUMBER], None)
        self._order[entry[NUMBER]] = entry

    def _removed(self, entry):
        self._order.pop(entry[NUMBER], None)

    def _victim(self):
        entry = first(self._order)
        return NOTHING if entry is None else entry[KEY]


class LRUCache(FIFOCache):
    """A bounded mapping from which goes what was not used for the longest time."""

    __module__ = "tierce.mapping"

    def _used(self, entry):
        try:
            self._order.move_to_end(entry[NUMBER])
        except KeyError:
            # It has gone meanwhile; else the error is of whoever came.
            if entry[NUMBER] in self._order:
                raise
