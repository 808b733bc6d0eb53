"""Programs in processes of their own: one that hangs or dies fails its test, and nothing else."""

import subprocess
import sys
import textwrap

LONGEST_S = 30


def child(program, *options):
    """Runs a program, which has to end well; what it printed."""
    command = [sys.executable, *options, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    return done.stdout
