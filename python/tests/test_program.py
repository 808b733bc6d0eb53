"""A program that imports itself, as `uvicorn.run("app:app")` does in `app.py`; and what its functions are called in other processes."""

import os
import subprocess
import sys

import pytest
from servers import Redis

APP = """
import asyncio, dataclasses, os, sys
import tierce

@dataclasses.dataclass
class Product:
    number: int

calls = []

@tierce.cached(key="product:{number}", tags=["products"])
async def product(number) -> Product:
    calls.append(__name__)
    return Product(number)

@tierce.cached
def squared(number) -> int:
    calls.append(__name__)
    return number * number

def names():
    return [product.key(1), squared.key(2)]

BODY
"""

ITSELF = """
async def main():
    import app

    assert app.product is not product and app.names() == names() == ["product:1", "app.squared:2"], (app.names(), names())
    if url := os.environ.get("STORE"):
        tierce.configure(url, store_budget="10s")
    found = await app.product(1)
    assert type(found) is type(await product(1)) is app.Product and (app.calls, calls) == (["app"], [])
    assert [squared(3), app.squared(3)] == [9, 9] and (app.calls, calls) == (["app"], ["__main__"])
    for here, there in ((product, app.product), (app.product, product)):
        await here.invalidate(1)
        assert there.peek(1) is None
        await there(1)
        await tierce.hub().invalidate_tag("products")
        assert here.peek(1) is there.peek(1) is None
        await here(1)
    if url:
        for one in (product, app.product):
            await product.invalidate(1)
            assert type(await one(1)) is (Product if one is product else app.Product)
        assert app.product.stats() == product.stats()

if __name__ == "__main__":
    asyncio.run(main())
"""

AGAIN = """
async def main():
    import app

    # What is read from the store is of the classes that others import.
    assert type(await product(1)) is app.Product and app.calls == calls == []

if __name__ == "__main__":
    asyncio.run(main())
"""

NAMES = """
if __name__ == "__main__":
    print(names())
"""

SPAWNS = """
def tell(queue):
    queue.put(names())

if __name__ == "__main__":
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=tell, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == names()
    child.join()
    print(names())
"""


def program(folder, body, *how, name="app", **env):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(APP.replace("BODY", body))
    command = [sys.executable, *(how or [f"{name}.py"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_program_that_imports_itself_shares_the_caches_of_both_copies(tmp_path):
    program(tmp_path, ITSELF)


def test_so_it_does_in_a_store(tmp_path):
    server = Redis(tmp_path)
    try:
        program(tmp_path, ITSELF, STORE=server.url)
        program(tmp_path, AGAIN, TIERCE_URL=server.url)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("folder", "name", "how", "module"),
    [
        ("", "app", [], "app"),
        ("", "shop-2", [], "shop-2"),
        ("", "app", ["-m", "app"], "app"),
        ("pkg", "app", ["-m", "pkg.app"], "pkg.app"),
        ("", "app", ["-c", "import app; print(app.names())"], "app"),
    ],
)
def test_its_functions_have_the_names_by_which_others_import_them(tmp_path, folder, name, how, module):
    (tmp_path / (folder or ".")).mkdir(exist_ok=True)
    (tmp_path / folder / f"{name}.py").write_text(APP.replace("BODY", NAMES))
    command = [sys.executable, *(how or [f"{name}.py"])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str(["product:1", f"{module}.squared:2"]), done.stderr


def test_processes_that_multiprocessing_spawns_have_the_same_names(tmp_path):
    assert program(tmp_path, SPAWNS) == str(["product:1", "app.squared:2"])


def test_another_function_of_that_name_is_refused_still(tmp_path):
    (tmp_path / "other.py").write_text('import tierce\n@tierce.cached(key="product:{x}")\ndef product(x): ...\n')
    program(tmp_path, 'try:\n    import other\nexcept ValueError as error:\n    print(error)\nelse:\n    raise SystemExit(1)')
