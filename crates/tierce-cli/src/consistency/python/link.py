"""A process under check and its parent: what it tells, what it asks of the database, what it is ordered."""

import asyncio
import os
from concurrent.futures import Future
from itertools import count
from threading import Lock

from record import ORDER, RECORD, Class, Kind, Order, Outcome, Scope, now

TELLS_S = 0.01
"""How often what was done is told."""

MOST_BYTES = 4 << 20
"""With so much untold nothing more is done: the parent is slower than its children."""


class Link(asyncio.Protocol):
    """The worker's end. Threads may tell and ask as well."""

    def __init__(self, number):
        self.orders = asyncio.Queue()
        self.number = count(1).__next__
        self._loop = asyncio.get_running_loop()
        self._number, self._transport, self._out, self._in = number, None, bytearray(), bytearray()
        self._asked, self._lock = {}, Lock()
        self.failures = 0

    @classmethod
    async def open(cls, port, number):
        _, link = await asyncio.get_running_loop().create_connection(lambda: cls(number), "127.0.0.1", port)
        return link

    def connection_made(self, transport):
        self._transport = transport
        self.ended(Kind.HELLO, id=self._number)
        self._tell_again()

    def connection_lost(self, error):
        # The parent is gone, or wants no more.
        os._exit(0)

    def _tell_again(self):
        self.flush()
        self._loop.call_later(TELLS_S, self._tell_again)

    def flush(self):
        """Sends what there is to tell, and up to when that is all."""
        if self._transport.get_write_buffer_size() > MOST_BYTES:
            return
        with self._lock:
            at = now()
            self._out += RECORD.pack(Kind.WATERMARK, Outcome.OK, Scope.KEY, Class.AGED, 0, 0, at, 0, 0)
            out, self._out = self._out, bytearray()
        self._transport.write(out)

    def ended(self, kind, outcome=Outcome.OK, scope=Scope.KEY, kind_of=Class.AGED, subject=0, begin=0, version=0, id=0):
        """Tells that something has ended, now: under the lock, so that each watermark that follows is later."""
        with self._lock:
            self.failures += kind == Kind.CHANGED and outcome == Outcome.FAILED
            self._out += RECORD.pack(kind, outcome, scope, kind_of, subject, begin, now(), version, id)

    def told(self, failures):
        """Tells that all changes that had failed have reached the store, if there are no more of them than so many."""
        with self._lock:
            if self.failures == failures:
                self._out += RECORD.pack(Kind.TOLD, Outcome.OK, Scope.KEY, Class.AGED, 0, 0, now(), 0, 0)

    def begins(self, kind, scope, kind_of, subject, id):
        """Tells that something begins, now; when that is."""
        with self._lock:
            at = now()
            self._out += RECORD.pack(kind, Outcome.OK, scope, kind_of, subject, at, at, 0, id)
        return at

    def has_room(self):
        """Whether the parent is not far behind."""
        return len(self._out) <= MOST_BYTES

    async def ask(self, kind, key):
        """Asks the database for a row's version, or to change it and for its new one."""
        answered = self._loop.create_future()

        def answer(version):
            if not answered.done():
                answered.set_result(version)

        self._ask(kind, key, answer)
        self.flush()
        return await answered

    def ask_plainly(self, kind, key):
        """As ask, for a thread that runs no loop."""
        answered = Future()
        self._ask(kind, key, answered.set_result)
        self._loop.call_soon_threadsafe(self.flush)
        return answered.result()

    def _ask(self, kind, key, answer):
        id = self.number()
        self._asked[id] = answer
        self.ended(kind, subject=key, id=id)

    def data_received(self, data):
        self._in += data
        whole = len(self._in) - len(self._in) % ORDER.size
        for kind, one, two in ORDER.iter_unpack(self._in[:whole]):
            if kind == Order.ANSWER:
                self._asked.pop(one)(two)
            else:
                self.orders.put_nowait((kind, one))
        del self._in[:whole]
