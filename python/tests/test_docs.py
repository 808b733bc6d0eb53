"""The examples of docs/python.md, of docs/moving and of the folder examples, each in a process of its own as a reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from servers import Redis

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "python.md", *sorted((DOCS / "moving").glob("*.md"))]
EXAMPLES = {
    f"{page.stem}-{number}": example
    for page in PAGES
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S))
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    made = Redis(tmp_path_factory.mktemp("redis"))
    yield made
    made.kill()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_pages_runs(name, redis):
    redis.ask("FLUSHALL")
    program = EXAMPLES[name].replace("redis://127.0.0.1:6379", redis.url)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_there_are_examples():
    assert len(EXAMPLES) >= 15


FILES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_example_runs_and_is_short(path):
    done = subprocess.run([sys.executable, "-W", "error", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(path.read_text().splitlines()) <= 60


def test_there_are_files_of_examples():
    assert len(FILES) >= 4
