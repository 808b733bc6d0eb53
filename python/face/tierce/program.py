"""The program that was started: Python calls its module `__main__`, and makes it once more where it imports itself.

`uvicorn.run("app:app")` in `app.py` does that, and so do worker processes: each has the functions of both.
"""

import os

PROGRAM = ("__main__", "__mp_main__")
"""What Python calls it: where it was started, and in processes that multiprocessing starts."""


def module_of_program(function):
    """The name by which others import the module of such a function: that of its file, or what `python -m` was given."""
    known = getattr(function, "__globals__", {})
    spec, file = known.get("__spec__"), known.get("__file__")
    if spec is not None:
        return spec.name
    return os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else PROGRAM[0]


def is_imported_again(function, first):
    """Whether this function is that one, of the program, in the module that the program has imported of itself."""
    if first.__module__ not in PROGRAM or getattr(function, "__module__", None) in PROGRAM:
        return False
    return _source(function) is not None and _source(function) == _source(first)


def _source(function):
    code = getattr(function, "__code__", None)
    return code and (os.path.realpath(code.co_filename), function.__qualname__)
