"""Counts as cargo counts, so that one script adds up the tests of both languages."""

import sys


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    failed = stats.get("failed", []) + stats.get("error", [])
    for report in failed:
        terminalreporter.write_line(f"test {report.nodeid} ... FAILED")
    count = {name: len(stats.get(name, [])) for name in ("passed", "skipped", "xfailed")}
    for report in stats.get("skipped", []):
        terminalreporter.write_line(f"ignored: {report.nodeid}: {report.longrepr[2]}")
    terminalreporter.write_line(
        f"test result: {'FAILED' if failed else 'ok'}. {count['passed']} passed; {len(failed)} failed; "
        f"{count['skipped'] + count['xfailed']} ignored; on CPython {sys.version.split()[0]}"
    )


collect_ignore = ["peers"]  # run by test_peers.py, in a process of their own
