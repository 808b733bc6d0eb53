"""The bounded mapping from which goes what was used least often."""

from collections import OrderedDict

from .bounded import KEY, NUMBER, Cache
from .ordered import first, in_order
from .step import NOTHING


class LFUCache(Cache):
    """A bounded mapping from which goes what was used least often; among those, what came to that count first."""

    __module__ = "tierce.mapping"

    _containers = ("_data", "_counts", "_buckets")

    def __init__(self, maxsize, getsizeof=None, *, listener=None):
        # How often each entry was used, by its number; and the entries by that count.
        self._counts = {}
        self._buckets = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    def _derive(self, entries):
        known, buckets = self._counts.copy(), {}
        numbers = [number for bucket in list(self._buckets.values()) for number in list(bucket)]
        ordered = in_order(numbers, entries)
        counts = {number: known.get(number, 1) for number in ordered}
        for number, entry in ordered.items():
            buckets.setdefault(counts[number], OrderedDict())[number] = entry
        self._counts, self._buckets = counts, buckets

    def _added(self, entry, older):
        counts, buckets = self._counts, self._buckets
        count = 1
        if older is not None:
            count += _uncounted(older, counts, buckets)
        _counted(entry, count, counts, buckets)

    def _used(self, entry):
        turn = self._turn
        if self._torn:
            self._renew()
        self._torn = True
        counts, buckets = self._counts, self._buckets
        count = _uncounted(entry, counts, buckets)
        if count:
            _counted(entry, count + 1, counts, buckets)
        self._torn = turn != self._turn

    def _removed(self, entry):
        _uncounted(entry, self._counts, self._buckets)

    def _victim(self):
        # There are as many buckets as different counts, which are few beside the entries.
        while self._buckets:
            bucket = self._buckets.get(min(self._buckets, default=None))
            entry = None if bucket is None else first(bucket)
            # A guest may have emptied it.
            if entry is not None:
                return entry[KEY]
        return NOTHING


def _uncounted(entry, counts, buckets):
    """How often an entry was used, which is forgotten; 0 for one that has gone."""
    number = entry[NUMBER]
    count = counts.pop(number, 0)
    if count:
        bucket = buckets[count]
        del bucket[number]
        if not bucket:
            del buckets[count]
    return count


def _counted(entry, count, counts, buckets):
    counts[entry[NUMBER]] = count
    bucket = buckets.get(count)
    if bucket is None:
        bucket = buckets[count] = OrderedDict()
    bucket[entry[NUMBER]] = entry
