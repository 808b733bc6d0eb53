"""What the shop reads, through its caches, and what it changes: all that knows of either."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from database import Row, ask

from tierce import StoreError, cached, hub


@dataclass(frozen=True)
class Product:
    id: int
    name: str
    price: Decimal
    category_id: int


@dataclass(frozen=True)
class Customer:
    id: int
    name: str
    likes: int


@dataclass(frozen=True)
class Statistics:
    products: int
    dearest: Decimal
    by_category: dict[int, int]


def _price(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _product(row: Row) -> Product:
    return Product(row[0], row[1], _price(row[2]), row[3])


# The return annotations say what values are: they come from Redis with the types that they had.
@cached(ttl="5m", stale="1m", key="product:{product_id}", tags=["products", "category:{result.category_id}"])
async def product(product_id: int) -> Product | None:
    # None is kept too: who asks for what is not there does not ask the database each time.
    rows = await ask("SELECT id, name, cents, category_id FROM product WHERE id = ?", product_id)
    return _product(rows[0]) if rows else None


async def products(ids: Sequence[int]) -> dict[int, Product | None]:
    """Those of these ids, in their order: one question to the store, and one to the database for what is missing."""

    async def load(missing: list[int]) -> dict[int, Product | None]:
        marks = ",".join("?" * len(missing))
        rows = await ask(f"SELECT id, name, cents, category_id FROM product WHERE id IN ({marks})", *missing)
        return {row[0]: _product(row) for row in rows}

    return await product.get_many(ids, load)


@cached(ttl="30m", key="customer:{customer_id}", tags=["customer:{customer_id}"])
async def customer(customer_id: int) -> Customer | None:
    rows = await ask("SELECT id, name, likes FROM customer WHERE id = ?", customer_id)
    return Customer(*rows[0]) if rows else None


@cached(ttl="1m", key="feed:{customer_id}", tags=["lists", "customer:{customer_id}"])
async def feed(customer_id: int, likes: int) -> list[Product]:
    """Of one customer: the key has his number, from nowhere but the session's own customer."""
    rows = await ask("SELECT id, name, cents, category_id FROM product WHERE category_id = ? LIMIT 20", likes)
    return [_product(row) for row in rows]


@cached(ttl="1h", stale="10m", key="statistics:", tags=["lists"])
async def statistics() -> Statistics:
    rows = await ask("SELECT category_id, COUNT(*), MAX(cents) FROM product GROUP BY category_id")
    by_category = {row[0]: row[1] for row in rows}
    return Statistics(sum(by_category.values()), _price(max(row[2] for row in rows)), by_category)


# Keys that are said at each call: what customers type. No text of theirs can act as another key, or as a pattern.
searches = hub().cache("search", list[int], ttl="2m", tags=["lists"])


async def search(language: str, text: str) -> list[int]:
    async def load(key: tuple[str, str]) -> list[int]:
        return [row[0] for row in await ask("SELECT id FROM product WHERE instr(lower(name), ?) LIMIT 20", key[1])]

    return await searches.get_or_load((language, text.lower()), load, tags=[f"searches:{language}"])


async def end(tag: str) -> None:
    """Ends all that has the tag, in all processes, by one write."""
    try:
        await hub().invalidate_tag(tag)
    except StoreError:
        # The database has the change, and this process goes by it. Others are told as soon as Redis answers;
        # until then they serve what they have, for serve_for at most.
        pass


async def change_price(product_id: int, price: Decimal) -> Product | None:
    """Writes to the database and to the cache. Two who do so at once cannot leave the older value in the cache."""
    changed: Product | None = None
    try:
        async with product.hold(product_id) as hold:
            sql = "UPDATE product SET cents = ? WHERE id = ? RETURNING id, name, cents, category_id"
            rows = await ask(sql, int(price.scaleb(2)), product_id)
            changed = _product(rows[0]) if rows else None
            await hold.set(changed)
    except StoreError:
        pass  # as in end
    await end("lists")
    return changed


async def sale(category_id: int, percent: int) -> None:
    """Changes many rows, whose keys nobody has to know."""
    await ask("UPDATE product SET cents = cents * (100 - ?) / 100 WHERE category_id = ?", percent, category_id)
    await end(f"category:{category_id}")
    await end("lists")


async def log_event(what: str) -> None:
    """What must not be lost goes into the database at once: a cache's Redis evicts, and forgets when it restarts."""
    await ask("INSERT INTO event (what) VALUES (?)", what)
