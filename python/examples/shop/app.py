"""A shop: FastAPI before SQLite, with a cache between them. See README.md."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

import catalogue
import database
from catalogue import Customer, Product, Statistics
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from tierce import Stats, StoreError, TTLCache, configure, hub, lru_cache


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    database.prepare()
    if url := os.environ.get("REDIS_URL"):
        # Without Redis each process has its own cache, and all else is the same. While it is away, memory
        # is served for serve_for at most.
        configure(url, namespace="shop", serve_for="2s")
    yield
    # Loads that run, those that nobody waits for included, may end.
    await hub().close(within="5s")


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def name_the_worker(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


# In this process alone: when each customer was here last, of the thousand who were here last.
seen: TTLCache[int, str] = TTLCache(maxsize=1000, ttl="30m")


@lru_cache(maxsize=256)
def country_code(name: str) -> str:
    """Of a pure function: functools' semantics. Here goes a search that takes a while, pycountry's say."""
    return {"france": "FR", "germany": "DE", "japan": "JP"}[name.lower()]


async def current_customer(x_customer: Annotated[int, Header()]) -> Customer:
    """Here goes your authentication."""
    found = await catalogue.customer(x_customer)
    if found is None:
        raise HTTPException(401)
    return found


@app.get("/products")
async def many(ids: Annotated[list[int], Query(max_length=100)]) -> dict[int, Product | None]:
    return await catalogue.products(ids)


@app.get("/products/{product_id}")
async def one(product_id: int) -> Product:
    found = await catalogue.product(product_id)
    if found is None:
        raise HTTPException(404)
    return found


@app.put("/products/{product_id}/price")
async def change_price(product_id: int, price: Decimal) -> Product:
    changed = await catalogue.change_price(product_id, price)
    if changed is None:
        raise HTTPException(404)
    await catalogue.log_event(f"price of {product_id}: {price}")
    return changed


@app.post("/categories/{category_id}/sale")
async def sale(category_id: int, percent: Annotated[int, Query(ge=0, le=90)]) -> None:
    await catalogue.sale(category_id, percent)


@app.get("/statistics")
async def statistics() -> Statistics:
    return await catalogue.statistics()


@app.get("/feed")
async def feed(customer: Annotated[Customer, Depends(current_customer)], response: Response) -> list[Product]:
    seen[customer.id] = customer.name
    # What is one customer's own no cache on the way may keep for others.
    response.headers["Cache-Control"] = "private, no-store"
    return await catalogue.feed(customer.id, customer.likes)


@app.get("/search/{language}")
async def search(language: str, text: Annotated[str, Query(min_length=1, max_length=50)]) -> list[int]:
    return await catalogue.search(language, text)


@app.delete("/search/{language}")
async def forget_searches(language: str) -> None:
    await catalogue.end(f"searches:{language}")


@app.get("/countries/{name}")
async def country(name: str) -> str:
    try:
        return country_code(name)
    except KeyError:
        raise HTTPException(404) from None


def _counts(stats: Stats) -> dict[str, Any]:
    asked = stats.hits + stats.misses
    return {**stats._asdict(), "hit_rate": stats.hits / asked if asked else None}


@app.get("/metrics")
async def metrics() -> dict[str, Any]:
    """Of this process; add those of all of them up. The server's own counts are of all who use it."""
    counts = {
        "product": catalogue.product.stats(),
        "customer": catalogue.customer.stats(),
        "feed": catalogue.feed.stats(),
        "statistics": catalogue.statistics.stats(),
        "search": catalogue.searches.stats(),
    }
    return {"store": hub().health(), **{name: _counts(stats) for name, stats in counts.items()}}


@app.get("/server")
async def server() -> dict[str, dict[str, str]]:
    if hub().health() is None:
        return {}
    facts = ("keyspace_hits", "keyspace_misses", "evicted_keys", "used_memory_human")
    try:
        return {one.address: {fact: one.facts[fact] for fact in facts} for one in await hub().info()}
    except StoreError as error:
        raise HTTPException(503, str(error)) from None
