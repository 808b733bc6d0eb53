"""functools.lru_cache by another import: a bounded cache, its counts, and how it is cleared."""

from tierce import lru_cache

CODES = {"france": "FR", "germany": "DE", "japan": "JP"}  # here goes your search, pycountry's say


@lru_cache(maxsize=2)
def country_code(name: str) -> str:
    print("searched for", name)
    return CODES[name.lower()]


for name in ("France", "Germany", "France", "Japan", "France"):
    country_code(name)
print(country_code.cache_info())
assert country_code.cache_info() == (2, 3, 2, 2), "Germany was not used for the longest time, and made room"

try:
    country_code("Atlantis")
except KeyError:
    print("what raises is not kept")

country_code.cache_clear()
assert country_code.cache_info() == (0, 0, 2, 0)
