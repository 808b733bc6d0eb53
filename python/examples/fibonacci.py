"""functools.cache by another import: a recursive function that runs once for each argument."""

from tierce.compat.functools import cache

runs = 0


@cache
def fibonacci(n: int) -> int:
    global runs
    runs += 1
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


print(fibonacci(50))
assert fibonacci(50) == 12586269025 and runs == 51
print(fibonacci.cache_info())
