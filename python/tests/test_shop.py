"""The shop of examples/shop, run as its README says: two workers, a real Redis, and load while that dies and comes back."""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from servers import LONGEST_S, Redis, free_port
from waiting import until

SHOP = Path(__file__).parents[1] / "examples" / "shop"

COHERENCE_S = 0.15
"""After which another worker does not serve what was before a change: Hub's default."""

CUT_OFF_S = 2 + COHERENCE_S
"""The same where Redis is away or was: the shop's serve_for."""


class Client:
    """One connection, and so one of the workers, until it is closed."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)
        self.worker = None

    def ask(self, path, method="GET", **headers):
        self.connection.request(method, path, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{method} {path}: {answer.status}: {text[:500]}"
        worker = answer.headers["X-Worker"]
        assert self.worker in (None, worker), "the worker has closed the connection, or died"
        self.worker = worker
        return json.loads(text)

    def price(self, product):
        return Decimal(self.ask(f"/products/{product}")["price"])

    def health(self):
        return self.ask("/metrics")["store"]

    def loads(self, cache="product"):
        return self.ask("/metrics")[cache]["loads"]


class Shop:
    def __init__(self, folder, url):
        self.port = free_port()
        self.log = folder / "shop.log"
        environment = {**os.environ, "SHOP_DATABASE": str(folder / "shop.sqlite"), "REDIS_URL": url or ""}
        # A client may rest longer than the five seconds after which uvicorn closes its connection.
        options = ["--port", str(self.port), "--workers", "2", "--timeout-keep-alive", "600", "--no-access-log"]
        with open(self.log, "wb") as log:
            command = [sys.executable, "-m", "uvicorn", *options, "--app-dir", str(SHOP), "app:app"]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        until(self.answers)

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            Client(self.port).ask("/metrics")
        except OSError:
            return False
        return True

    def one_of_each_worker(self):
        found = {}

        def look():
            clients = [Client(self.port) for _ in range(8)]
            for client in clients:
                client.connection.connect()
            for client in clients:
                client.ask("/metrics")
                found.setdefault(client.worker, client)
            return len(found) == 2

        until(look)
        return list(found.values())

    def end(self):
        """As an init system does; how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONGEST_S)


@pytest.fixture
def redis(tmp_path):
    (tmp_path / "redis").mkdir()
    made = Redis(tmp_path / "redis")
    yield made
    made.kill()


def ended_well(shop):
    """Ends it, whatever its test has found."""
    assert shop.end() in (0, -signal.SIGTERM), shop.log.read_text()
    assert "Traceback" not in shop.log.read_text()


@pytest.fixture
def shop(tmp_path, redis):
    made = Shop(tmp_path, redis.url)
    yield made
    ended_well(made)


@pytest.fixture
def shop_alone(tmp_path):
    made = Shop(tmp_path, None)
    yield made
    ended_well(made)


def test_every_route_answers_without_redis(shop_alone):
    client = Client(shop_alone.port)
    assert client.ask("/products/42") == {"id": 42, "name": "Lamp 42", "price": "42.90", "category_id": 2}
    assert list(client.ask("/products?ids=3&ids=999&ids=1&ids=3")) == ["3", "1"]
    assert client.ask("/products/42/price?price=9.90", "PUT")["price"] == "9.90"
    assert client.price(42) == Decimal("9.90")
    client.ask("/categories/2/sale?percent=50", "POST")
    assert client.price(42) == Decimal("4.95")
    assert client.ask("/statistics")["dearest"] == "300.90"
    assert {one["category_id"] for one in client.ask("/feed", **{"X-Customer": "1"})} == {1}
    assert {one["category_id"] for one in client.ask("/feed", **{"X-Customer": "2"})} == {2}
    assert client.ask(f"/search/en?text={quote('lamp 29')}") == [29, *range(290, 300)]
    client.ask("/search/en", "DELETE")
    assert client.ask("/countries/France") == "FR"
    assert client.ask("/server") == {} and client.health() is None


def test_what_is_not_there_is_asked_for_once(shop):
    one, other = shop.one_of_each_worker()
    before = one.loads() + other.loads()
    for client in (one, other) * 5:
        with pytest.raises(AssertionError, match="404"):
            client.ask("/products/4000")
    assert one.loads() + other.loads() - before <= 2


def test_the_workers_share_their_loads_and_hear_of_changes(shop):
    one, other = shop.one_of_each_worker()
    # What a load brings is not kept where it has a tag that nobody has seen yet: so all ten are made known to both.
    for product in range(1, 11):
        for client in (one, other) * 3:
            client.price(product)
    before = one.loads() + other.loads()
    begin = threading.Barrier(16)

    def ask():
        client = Client(shop.port)
        begin.wait()
        for product in range(101, 121):
            assert client.price(product) == Decimal(f"{product}.90")

    in_threads([ask] * 16)
    # Twenty; more where a busy machine keeps Redis from answering within its 50 ms.
    assert one.loads() + other.loads() - before < 16 * 20 / 4
    before = other.loads()
    for product in range(201, 241):
        assert one.price(product) == other.price(product)
    assert other.loads() - before < 20, "the other worker loads what the first has loaded"
    one.ask("/categories/1/sale?percent=50", "POST")
    assert one.price(101) == Decimal("50.95")
    until(lambda: other.price(101) == Decimal("50.95"))
    assert one.ask("/server")


def in_threads(functions):
    """Runs them beside each other; raises what the first of them raised."""
    failed = []

    def run(function):
        try:
            function()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=[function], daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * LONGEST_S)
        assert not thread.is_alive()
    if failed:
        raise failed[0]


class Watch:
    """One product whose price only rises, changed at one worker and read at both."""

    def __init__(self, here, there):
        self.here, self.there = here, there
        self.prices = itertools.count(1000)
        # Another number at each start of Redis; None while it is away, or not known to be back.
        self.epoch = 1
        # A price, when it was written, and in which epoch others were told of it.
        self.written = []
        self.seen = self.changed = 0

    def change(self):
        epoch, price = self.epoch, next(self.prices)
        self.here.ask(f"/products/1/price?price={price}", "PUT")
        written = time.monotonic()
        assert self.here.price(1) == price, "who made a change sees it at once"
        was_told = epoch == self.epoch and "to be told" not in self.here.health()
        self.written.append((price, written, epoch if was_told else None))
        self.changed = price

    def look(self):
        began = time.monotonic()
        price = self.there.price(1)
        for other, written, epoch in self.written:
            within = CUT_OFF_S if epoch is None or epoch != self.epoch else COHERENCE_S
            late = began - written - within
            assert price >= other or late < 0, f"{price} was served {late} s after the end of the bound of {other}"
        self.seen = price


def test_nobody_gets_an_error_or_a_price_too_old_while_redis_dies_and_comes_back(shop, redis):
    clients = shop.one_of_each_worker()
    watch = Watch(*clients)
    watchers = [Client(shop.port), Client(shop.port)]
    stop, asked = threading.Event(), []

    def until_stopped(step):
        def run():
            try:
                while not stop.is_set():
                    step()
            finally:
                stop.set()

        return run

    def reader(number):
        client, turn = Client(shop.port), itertools.count(number)

        def step():
            now = next(turn)
            paths = [f"/products/{now % 300 + 1}", "/products?ids=1&ids=7&ids=999", "/statistics", f"/search/en?text={now % 9}"]
            client.ask(paths[now % 4])
            customer = str(now % 2 + 1)
            feed = client.ask("/feed", **{"X-Customer": customer})
            assert {one["category_id"] for one in feed} == {int(customer)}, "another customer's feed"
            asked.append(now)

        return step

    def wait_for(condition):
        until(lambda: stop.is_set() or condition())

    def more(requests, changes):
        served, price = len(asked) + requests, watch.changed + changes
        wait_for(lambda: len(asked) >= served and watch.seen >= price)

    def coherent():
        return all("memory coherent" in client.health() and "to be told" not in client.health() for client in watchers)

    def director():
        try:
            more(100, 10)
            watch.epoch = None
            redis.kill()
            # Prices that are written now arrive at the other worker.
            more(100, 10)
            redis.start()
            wait_for(coherent)
            watch.epoch = 2
            more(100, 10)
        finally:
            stop.set()

    steps = [watch.change, watch.look, *(reader(100 * number) for number in range(6))]
    in_threads([*map(until_stopped, steps), director])
    assert len(asked) >= 300 and watch.seen > 1020
