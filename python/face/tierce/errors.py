"""What goes wrong in a cache itself; a function's own exceptions reach its callers as they are."""


class CycleError(RecursionError):
    """A load waits for itself: it asks, at once or through others, for the key that it loads."""


class LoadCancelledError(RuntimeError):
    """The load of a value was cancelled, though nobody had cancelled who waited for it."""
