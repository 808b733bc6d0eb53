"""The rows that the processes under check read, and their tags: as `rows.rs` and `world.rs` have them."""

from dataclasses import dataclass

KEYS = 16
TAGS = 4


def tag_of(key):
    """The number of the tag that callers name for a key."""
    return key % TAGS


def shelf_of(key):
    """The number of the tag that only a load of the key names."""
    return key // (KEYS // TAGS)


@dataclass
class Row:
    key: int
    version: int
    check: int

    @classmethod
    def of(cls, key, version):
        return cls(key, version, _check(key, version))

    def is_of(self, key):
        """Whether this is a row of that key."""
        return self.key == key and self.check == _check(key, self.version)

    @property
    def shelf(self):
        return shelf_of(self.key)


def _check(key, version):
    return ((version << 8 | key) * 0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF_FFFF
