"""Threads that run what nobody waits for. They hold up no end of a process."""

from queue import SimpleQueue
from threading import Lock, Semaphore, Thread, main_thread

MOST = 4
"""So many at once: a slow source delays what is refreshed behind, and no caller."""


class Workers:
    """A few threads, begun as they are needed, and what waits for one of them.

    Daemons, since the interpreter waits for all others when it ends: a source that hangs would hang the process.
    """

    def __init__(self):
        self._waiting = SimpleQueue()
        self._idle = Semaphore(0)
        self._lock = Lock()
        self._count = 0

    def submit(self, run):
        """Has a thread call it. Raises RuntimeError if there is none, and none can be had."""
        self._waiting.put(run)
        if self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._count == MOST:
                return
            thread = Thread(target=self._work, name=f"tierce-refresh-{self._count}", daemon=True)
            self._count += 1
            try:
                thread.start()
            except BaseException:
                self._count -= 1
                if self._count == 0:
                    raise

    def _work(self):
        while True:
            run = self._waiting.get()
            try:
                run()
            except BaseException:
                pass  # it was told to end, as those who wait have heard: that is not for who comes next
            del run
            self._idle.release()


def is_ending():
    """Whether the interpreter ends, from where on no more threads may be had."""
    return not main_thread().is_alive()
