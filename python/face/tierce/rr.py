"""The bounded mapping from which goes what a choice picks."""

import random

from .bounded import KEY, NUMBER, Cache, callable_as
from .step import NOTHING


class RRCache(Cache):
    """A bounded mapping from which goes what `choice` picks among all keys: any of them, unless said otherwise.

    choice: given a list of all keys, which is its own, with the lock held. That
        costs their number at each eviction; random.choice, the default, does not.
    """

    __module__ = "tierce.mapping"

    _containers = ("_data", "_entries", "_places")

    def __init__(self, maxsize, choice=random.choice, getsizeof=None, *, listener=None):
        self._choice = callable_as("choice", choice)
        # The entries in no order, and the place of each by its number.
        self._entries = []
        self._places = {}
        super().__init__(maxsize, getsizeof, listener=listener)

    @property
    def choice(self):
        """What picks the key that goes."""
        return self._choice

    def _derive(self, entries):
        self._entries = list(entries.values())
        self._places = {number: place for place, number in enumerate(entries)}

    def _added(self, entry, older):
        entries, places = self._entries, self._places
        place = None if older is None else places.pop(older[NUMBER], None)
        if place is None:
            places[entry[NUMBER]] = len(entries)
            entries.append(entry)
        else:
            places[entry[NUMBER]] = place
            entries[place] = entry

    def _removed(self, entry):
        entries, places = self._entries, self._places
        place = places.pop(entry[NUMBER], None)
        if place is None:
            return
        last = entries.pop()
        if place < len(entries):
            entries[place] = last
            places[last[NUMBER]] = place

    def _victim(self):
        if self._choice == random.choice:
            while self._entries:
                try:
                    return self._entries[int(random.random() * len(self._entries))][KEY]
                except IndexError:
                    pass  # a guest took some of them meanwhile
            return NOTHING
        # A list of its own, so that neither it nor a guest changes what the other works with.
        keys = list(self._data)
        return self._choice(keys) if keys else NOTHING
