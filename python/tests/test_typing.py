"""mypy --strict and pyright keep parameters, results and methods; the stubs say what is there."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(tmp_path, *command):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_sees_parameters_results_and_methods(tmp_path):
    run(tmp_path, "mypy", "--strict", "--cache-dir", str(tmp_path), str(HERE / "typed_uses.py"))


def test_mypy_takes_the_examples(tmp_path):
    examples = [str(path) for path in sorted((HERE.parent / "examples").glob("*.py"))]
    for example in examples:
        run(tmp_path, "mypy", "--strict", "--cache-dir", str(tmp_path), example)


def test_mypy_takes_the_shop(tmp_path):
    run(HERE.parent / "examples" / "shop", "mypy", "--strict", "--cache-dir", str(tmp_path), "app.py")


def test_pyright_sees_parameters_results_and_methods(tmp_path):
    # Within the folder, since pyright leaves out whatever stands elsewhere. An ignored error that is none is one: so it is
    # seen that each of them is an error.
    shutil.copy(HERE / "typed_uses.py", tmp_path)
    (tmp_path / "pyrightconfig.json").write_text('{"reportUnnecessaryTypeIgnoreComment": "error"}')
    run(tmp_path, "pyright", "--pythonpath", sys.executable, "-p", str(tmp_path))


def test_stubs_say_what_is_there(tmp_path):
    # What has no stub is nobody's to import, and not annotated.
    (tmp_path / "mypy.ini").write_text("[mypy]\n[mypy-tierce.*]\nignore_errors = True\n")
    run(tmp_path, "mypy.stubtest", "tierce", "--mypy-config-file", "mypy.ini")
