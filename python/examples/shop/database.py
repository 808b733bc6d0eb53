"""The source of truth: SQLite in a file, asked in threads, so that the event loop goes on."""

import asyncio
import os
import sqlite3
from contextlib import closing
from typing import Any

PATH = os.environ.get("SHOP_DATABASE", "shop.sqlite")
Row = tuple[Any, ...]

TABLES = """
CREATE TABLE IF NOT EXISTS product (id INTEGER PRIMARY KEY, name TEXT, cents INTEGER, category_id INTEGER);
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, name TEXT, likes INTEGER);
CREATE TABLE IF NOT EXISTS event (at TEXT DEFAULT CURRENT_TIMESTAMP, what TEXT);
INSERT OR IGNORE INTO customer VALUES (1, 'Alice', 1), (2, 'Bob', 2);
"""
PRODUCTS = 300
CATEGORIES = 10


def _in_thread(sql: str, rows: list[Row]) -> list[Row]:
    # A writer waits for another one, for half a minute at most.
    with closing(sqlite3.connect(PATH, timeout=30)) as connection, connection:
        if len(rows) > 1:
            connection.executemany(sql, rows)
            return []
        return connection.execute(sql, rows[0]).fetchall()


async def ask(sql: str, *values: object) -> list[Row]:
    """What a statement gives; what it changes is committed when this returns."""
    return await asyncio.to_thread(_in_thread, sql, [values])


def prepare() -> None:
    """Makes the tables where there are none; each worker does, whichever comes first."""
    with closing(sqlite3.connect(PATH, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLES)
    products = [(i, f"Lamp {i}", 100 * i + 90, i % CATEGORIES) for i in range(1, PRODUCTS + 1)]
    _in_thread("INSERT OR IGNORE INTO product VALUES (?, ?, ?, ?)", list[Row](products))
