"""Stores that are reached encrypted: on loops, by Python's ssl, and by code that runs on none, by rustls."""

import asyncio
import os
import subprocess
import sys

import pytest
from servers import Redis, free_port
from waiting import until

from tierce import Hub, StoreError

_spaces = iter(range(1_000_000))


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


class Encrypted:
    """A Redis that speaks TLS on a port of its own, with a certificate that an authority of ours has signed."""

    def __init__(self, folder):
        self.ca = str(folder / "ca.pem")
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        for name in ("ca", "other"):
            signs = ("-addext", "keyUsage=critical,keyCertSign", "-days", "2")
            openssl(folder, "req", "-x509", *new, *signs, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl(folder, "req", *new, "-subj", "/CN=localhost", "-keyout", "own.key", "-out", "own.csr")
        (folder / "told").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
        openssl(
            folder, "x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "told", "-out", "own.pem",
        )  # fmt: skip
        self.port = free_port()
        self.server = Redis(
            folder, "--tls-port", str(self.port), "--tls-cert-file", "own.pem", "--tls-key-file", "own.key",
            "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no",
        )  # fmt: skip

    def url(self, ca=None):
        return f"rediss://localhost:{self.port}?ca={ca or self.ca}"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Encrypted(tmp_path_factory.mktemp("encrypted"))
    yield made
    made.server.kill()


@pytest.fixture
def named():
    # A busy machine is late with an answer: what is tried here is not how soon it comes.
    return {"namespace": f"tls{os.getpid()}-{next(_spaces)}", "store_budget": "10s"}


def product_of(hub):
    calls = []

    @hub.cached(key="product:{x}")
    async def product(x) -> int:
        calls.append(x)
        return x * 2

    return product, calls


def test_values_are_shared_and_ended_over_tls(store, named):
    async def main():
        here, elsewhere = Hub(store.url(), **named), Hub(store.url(), **named)
        (product, calls), (theirs, their_calls) = product_of(here), product_of(elsewhere)
        assert [await product(1), await theirs(1)] == [2, 2]
        assert (calls, their_calls) == ([1], [])
        await theirs.set(7, 1)
        while await product(1) != 7:
            await asyncio.sleep(0.001)
        await product.invalidate(1)
        while await theirs(1) != 2:
            await asyncio.sleep(0.001)
        big = here.cache("big", bytes)
        await big.set(1, b"x" * 1_000_000)
        assert await elsewhere.cache("big", bytes).get(1) == b"x" * 1_000_000
        listed = store.server.ask("CLIENT", "LIST").decode()
        assert listed.count(f"laddr=127.0.0.1:{store.port} ") >= 2, listed

    asyncio.run(asyncio.wait_for(main(), 60))


def test_who_signed_the_certificate_is_looked_at(store, named):
    product, calls = product_of(Hub(store.url(store.ca.replace("ca.pem", "other.pem")), **named))

    async def main():
        assert await product(1) == 2
        with pytest.raises(StoreError, match="(?i)certificate"):
            await product.invalidate(1)

    asyncio.run(main())
    assert calls == [1]


def test_plain_functions_share_values_over_tls(store, named):
    here, elsewhere, told = Hub(store.url(), **named), Hub(store.url(), **named), []

    def plain_of(hub):
        @hub.cached(key="plain:{x}", tags=["plain"])
        def plain(x) -> dict:
            told.append(x)
            return {"x": x}

        return plain

    plain, theirs = plain_of(here), plain_of(elsewhere)
    assert plain(1) == theirs(1) == {"x": 1} and told == [1]
    theirs.set({"x": 7}, 1)
    until(lambda: plain(1) == {"x": 7})
    here.blocking.invalidate_tag("plain")
    until(lambda: theirs(1) == {"x": 1})
    assert told == [1, 1]
    big = here.cache("big-plain", bytes)
    big.blocking.set(1, b"x" * 1_000_000)
    assert elsewhere.cache("big-plain", bytes).blocking.get(1) == b"x" * 1_000_000
    listed = store.server.ask("CLIENT", "LIST").decode()
    assert listed.count(f"laddr=127.0.0.1:{store.port} ") >= 2, listed


def test_plain_functions_look_at_who_signed_the_certificate(store, named):
    hub = Hub(store.url(store.ca.replace("ca.pem", "other.pem")), **named)

    @hub.cached(key="plain:{x}")
    def plain(x) -> int:
        return x * 2

    assert plain(1) == 2
    with pytest.raises(StoreError, match="(?i)certificate"):
        plain.invalidate(1)


CANCELLED = """
import asyncio, glob, sys
from tierce import Hub

def product_of(hub):
    @hub.cached(key="product:{x}")
    async def product(x) -> int:
        return value
    return product

async def cancelled(doing):
    task = asyncio.ensure_future(doing)
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise AssertionError("it was done at once")

async def ended(product, other):
    global value
    value = 1
    assert [await product(1), await other(1)] == [1, 1]
    value = 2

async def main():
    named = dict(namespace=sys.argv[2], store_budget="10s")
    product, other = (product_of(Hub(sys.argv[1], **named)) for _ in range(2))
    await ended(product, other)
    await cancelled(product.invalidate(1))
    while await other(1) != 2:
        await asyncio.sleep(0.001)
    await product.clear()
    await ended(product, other)
    hold = await product.hold(1)
    del hold
    while await other(1) != 2:
        await asyncio.sleep(0.001)

asyncio.run(asyncio.wait_for(main(), 20))
print(sorted(open(name).read().strip() for name in glob.glob("/proc/self/task/*/comm")))
"""


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_change_that_is_given_up_is_told_by_its_loop_and_not_by_a_thread(store, named, is_encrypted):
    url = store.url() if is_encrypted else store.server.url
    command = [sys.executable, "-c", CANCELLED, url, named["namespace"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "tierce" not in done.stdout, done.stdout
