"""What a hit costs that a server has to answer: a value of some 230 bytes on this machine's own Redis or Memcached.

The servers are started on free ports of loopback and stopped with the process. Each
contender has an event loop of its own, and the same loop for all rounds. Ours asks
the server each time, since its memory has room for one value and the keys go round.
"""

import asyncio
import atexit
import json
import socket
import subprocess
import sys
import tempfile
import time

from . import contenders
from .values import DICT, PRODUCT, Product

KEYS = 200
TASKS = 100
BATCH = 100
_started = {}


def server(program):
    """The port of a server of this kind, started once."""
    if program not in _started:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        folder = tempfile.mkdtemp()
        commands = {
            "redis-server": ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            "memcached": ["memcached", "-p", port, "-l", "127.0.0.1", "-U", "0", "-u", "nobody"],
        }
        process = subprocess.Popen(list(map(str, commands[program])), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(process.kill)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.01)
        else:
            sys.exit(f"{program} does not start")
        _started[program] = port
    return _started[program]


def _loops():
    """Kinds of event loops, by what is added to a contender's name."""
    kinds = {"": asyncio.new_event_loop}
    if contenders.uvloop:
        kinds[" uvloop"] = contenders.uvloop.new_event_loop
    return kinds


def asked(makers, tasks):
    """Runs of so many calls, by so many tasks at once, of functions that ask for a key; on each kind of loop."""

    def entrant(make, new_loop):
        event_loop = new_loop()

        async def begin():
            ask = make()
            ask = await ask if asyncio.iscoroutine(ask) else ask
            for key in range(KEYS):
                await ask(key)
            return ask

        ask = event_loop.run_until_complete(begin())

        async def one(first, count):
            for at in range(count):
                await ask((first * 7919 + at) % KEYS)

        async def all_of_them(count):
            began = time.process_time_ns()
            await asyncio.gather(*[one(task, max(1, count // tasks)) for task in range(tasks)])
            return time.process_time_ns() - began

        return lambda count: event_loop.run_until_complete(all_of_them(count))

    found = {}
    for label, new_loop in _loops().items():
        for name, make in makers.items():
            found[name + label] = lambda make=make, new_loop=new_loop: entrant(make, new_loop)
    return found


def _hub(program):
    import tierce

    scheme = "redis" if program == "redis-server" else "memcached"
    return tierce.Hub(f"{scheme}://127.0.0.1:{server(program)}", namespace=f"bench-{time.time_ns()}", store_budget="5s")


def _ours(program="redis-server", **settings):
    """A function of a hub: what it gives is in the store, and not in memory."""

    def make():
        @_hub(program).cached(ttl="1h", key="product:{x}", maxsize=1, **settings)
        async def product(x) -> dict:
            return DICT

        return product

    return make


def _ours_bytes():
    """What a GET gives: the bytes that are there."""
    told = json.dumps(DICT).encode()

    @_hub("redis-server").cached(ttl="1h", key="product:{x}", maxsize=1)
    async def product(x) -> bytes:
        return told

    return product


def _ours_typed():
    @_hub("redis-server").cached(ttl="1h", key="product:{x}", maxsize=1)
    async def product(x) -> Product:
        return PRODUCT

    return product


async def _redis_py(reads):
    client = contenders.redis.asyncio.Redis(port=server("redis-server"))
    for key in range(KEYS):
        await client.set(f"raw:{key}", json.dumps(DICT))

    async def ask(key):
        return await client.get(f"raw:{key}")

    async def read(key):
        return json.loads(await client.get(f"raw:{key}"))

    return read if reads else ask


async def _guide():
    """The guide's decorator: a key of the arguments' text, JSON, redis-py."""
    client = contenders.redis.asyncio.Redis(port=server("redis-server"))

    async def ask(key):
        name = f"guide:product:{(key,)}:{{}}"
        found = await client.get(name)
        if found:
            return json.loads(found)
        await client.setex(name, 3600, json.dumps(DICT))
        return DICT

    return ask


def _pipelining():
    """A client in pure Python that writes once a turn what all tasks ask: the shape of ours, without an engine."""

    class Client(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport, self.waiting, self.queued, self.input = transport, [], [], b""

        def ask(self, key):
            future = asyncio.get_running_loop().create_future()
            name = b"raw:%d" % key
            if not self.queued:
                asyncio.get_running_loop().call_soon(self.flush)
            self.queued.append(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(name), name))
            self.waiting.append(future)
            return future

        def flush(self):
            self.transport.write(b"".join(self.queued))
            self.queued.clear()

        def data_received(self, data):
            data, at = self.input + data, 0
            while (end := data.find(b"\r\n", at)) >= 0:
                length = int(data[at + 1 : end])
                if len(data) < end + 4 + length:
                    break
                self.waiting.pop(0).set_result(data[end + 2 : end + 2 + length])
                at = end + 4 + length
            self.input = data[at:]

    async def make():
        await (await _redis_py(False))(0)
        port = server("redis-server")
        _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
        return client.ask

    return make


async def _aiocache():
    from aiocache.serializers import JsonSerializer

    cached = contenders.aiocache.cached(
        ttl=3600, cache=contenders.aiocache.Cache.REDIS, endpoint="127.0.0.1", port=server("redis-server"),
        serializer=JsonSerializer(), key_builder=lambda function, key: f"aiocache:{key}",
    )  # fmt: skip

    @cached
    async def product(key):
        return DICT

    return product


async def _cashews():
    cache = contenders.cashews.Cache()
    cache.setup(f"redis://127.0.0.1:{server('redis-server')}", pickle_type="null")

    @cache(ttl="1h", key="cashews:{key}")
    async def product(key):
        return json.dumps(DICT)

    async def ask(key):
        return json.loads(await product(key))

    return ask


def raw():
    """A hit against a bare GET: of the same bytes, and with decoding."""
    found = {"ours": _ours_bytes, "ours, decoded": _ours()}
    if contenders.redis:
        found["redis-py GET"] = lambda: _redis_py(False)
        found["pure Python, pipelined GET"] = _pipelining()
    return found


def decorators():
    """A hit with decoding."""
    found = {"ours": _ours(), "ours, a dataclass": _ours_typed, "ours, two tags": _ours(tags=["a", "b:{x}"])}
    if contenders.redis:
        found["redis-py GET and json"] = lambda: _redis_py(True)
        found["guide's decorator"] = _guide
        if contenders.aiocache:
            found["aiocache"] = _aiocache
    if contenders.cashews:
        found["cashews"] = _cashews
    return found


def memcached():
    """The same with Memcached."""
    found = {"ours": _ours("memcached")}
    if contenders.aiomcache:

        async def make():
            client = contenders.aiomcache.Client("127.0.0.1", server("memcached"))
            for key in range(KEYS):
                await client.set(b"raw:%d" % key, json.dumps(DICT).encode())

            async def ask(key):
                return await client.get(b"raw:%d" % key)

            return ask

        found["aiomcache GET"] = make
    return found


def batches():
    """A hundred ids in one call."""

    async def load(ids):
        return {one: DICT for one in ids}

    def ours():
        product = _ours()()

        async def ask(key):
            return await product.get_many(range(key, key + BATCH), load)

        return ask

    async def mget():
        client = contenders.redis.asyncio.Redis(port=server("redis-server"))
        for key in range(KEYS + BATCH):
            await client.set(f"raw:{key}", json.dumps(DICT))

        async def ask(key):
            found = await client.mget([f"raw:{one}" for one in range(key, key + BATCH)])
            return {key + at: json.loads(one) for at, one in enumerate(found)}

        return ask

    found = {"ours": ours}
    if contenders.redis:
        found["redis-py MGET and json"] = mget
    return found
