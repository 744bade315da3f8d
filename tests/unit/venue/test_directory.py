"""Keys of customers: known from memory, and never for long after they were revoked."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, cast

import pytest

from seawall.policy_file import load_policy
from venue.api.directory import Directory

A_FEW_SECONDS = 5.0
POLICY = load_policy(Path(__file__).parents[3] / "policies" / "sandbox.yaml")


class _Pool:
    """A database of keys that counts how often it is asked."""

    def __init__(self, *keys: str) -> None:
        self.keys = dict(enumerate(keys, start=1))
        self.asked = 0
        self.down = False

    async def fetch(self, _query: str) -> list[dict[str, Any]]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionRefusedError
        return [
            {"id": number, "api_key_sha256": hashlib.sha256(key.encode()).digest()}
            for number, key in self.keys.items()
        ]

    fetchval = fetch


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool() -> _Pool:
    return _Pool("one", "two")


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def directory(pool: _Pool, clock: _Clock) -> Directory:
    return Directory(POLICY, cast("Any", pool), clock=clock)


async def test_guessed_keys_cost_the_database_nothing(directory: Directory, pool: _Pool) -> None:
    """However many are guessed, and at once: the keys are read one time."""
    guesses = (directory.customer_of(f"guess-{number}") for number in range(1_000))
    assert set(await asyncio.gather(*guesses)) == {None}
    assert await directory.customer_of("one") == 1
    assert pool.asked == 1


async def test_a_revoked_key_is_refused_and_a_new_one_known_within_seconds(
    directory: Directory, pool: _Pool, clock: _Clock
) -> None:
    assert await directory.customer_of("two") == 2
    pool.keys[2] = "another"
    clock.now = A_FEW_SECONDS
    assert await directory.customer_of("two") is None
    assert await directory.customer_of("another") == 2
    assert await directory.customer_of("one") == 1


async def test_without_the_database_no_key_outlives_its_time(
    directory: Directory, pool: _Pool, clock: _Clock
) -> None:
    """It may have been revoked; the api answers that it is unavailable."""
    assert await directory.customer_of("one") == 1
    pool.down = True
    clock.now = 0.5
    assert await directory.customer_of("one") == 1
    clock.now = A_FEW_SECONDS
    with pytest.raises(ConnectionRefusedError):
        await directory.customer_of("one")
    pool.down = False
    assert await directory.customer_of("one") == 1
