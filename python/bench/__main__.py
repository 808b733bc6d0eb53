"""Side by side with what tierce replaces: `python -m bench [SUBJECT] [--json] [--rounds N]`.

Run it from the folder `python/`, with the package installed. Contenders that are
not installed are left out, and named: `pip install -r bench/requirements.txt`.

SUBJECT is a subject (lru, async, cached, ttl, values, stores, memory) or a case. All contenders of a
case take turns in one process; a cost is CPU time of the process, the loop
around the calls taken off, and the median of the rounds. ratio_to_ours is the
median of the rounds' own ratios: above 1, ours is better.
"""

import argparse
import gc
import json
import statistics
import sys
import time

from . import cases, contenders


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("subject", nargs="?", help="a subject or a case; all of them unless given")
    parser.add_argument("--json", action="store_true", help="one line of JSON a measurement")
    parser.add_argument("--rounds", type=int, default=9, help="at least 5 (default 9)")
    arguments = parser.parse_args()
    wanted = [case for case in cases.ALL if arguments.subject in (None, case.subject, case.name)]
    if not wanted:
        names = sorted({case.subject for case in cases.ALL}) + [case.name for case in cases.ALL]
        parser.error(f"no such subject: {arguments.subject}; there are {', '.join(names)}")
    for name, error in contenders.MISSING.items():
        print(f"left out: {name}: {error}", file=sys.stderr)
    for case in wanted:
        report(case, measured(case, max(5, arguments.rounds)), arguments.json)


def measured(case, rounds):
    """The costs of each contender, one a round."""
    entrants = {name: make() for name, make in case.contenders().items()}
    costs = {name: [] for name in entrants}
    if case.unit == "bytes":
        # Counted, not timed: nothing varies but where memory was left before.
        return {name: [run(case.count)] for name, run in entrants.items()}
    for run in entrants.values():
        run(case.count // 10)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in rotated(list(entrants), turn):
                count = max(1, case.count // case.slower.get(name, 1))
                begin = time.process_time_ns()
                run_ns = entrants[name](count)
                spent = time.process_time_ns() - begin if run_ns is None else run_ns
                costs[name].append(spent / count)
            gc.collect()
    finally:
        gc.enable()
    empty = costs.pop("", None)
    if empty:
        costs = {name: [cost - off for cost, off in zip(all_, empty)] for name, all_ in costs.items()}
    return costs


def rotated(names, by):
    by %= len(names)
    return names[by:] + names[:by]


def report(case, costs, as_json):
    ours = costs["ours"]
    rows = []
    for name, all_ in costs.items():
        ratios = [cost / own for cost, own in zip(all_, ours) if own > 0]
        rows.append((name, statistics.median(all_), statistics.median(ratios)))
    rows.sort(key=lambda row: row[1])
    if not as_json:
        print(f"\n{case.name}: {case.what}")
    for name, cost, ratio in rows:
        if as_json:
            line = {
                "subject": case.subject, "case": case.name, "contender": name, "unit": case.unit,
                "cost": round(cost, 2), "ratio_to_ours": round(ratio, 3),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
        else:
            share = f"ours is {1 / ratio:5.2f} of it" if name != "ours" else ""
            print(f"    {name:22} {cost:11.1f} {case.unit:6} {share}", flush=True)


if __name__ == "__main__":
    main()
