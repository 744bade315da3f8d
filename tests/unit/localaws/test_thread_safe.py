"""Requests of the emulator that list resources while other requests add some."""

from __future__ import annotations

from typing import Any

import pytest
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from localaws.emulator import services
from localaws.emulator.thread_safe import SnapshotDict

ACCOUNT = "999999999999"


@pytest.fixture(autouse=True)
def installed() -> None:
    services.install()


def test_roles_can_be_made_while_others_are_listed() -> None:
    backend: Any = iam_backends[ACCOUNT]["aws"]

    def make(name: str) -> None:
        backend.create_role(name, "{}", "/", None, "", [], None)

    make("first")
    for role in backend.get_roles():
        make(f"beside-{role.name}")
    assert {role.name for role in backend.get_roles()} == {"first", "beside-first"}


def test_keys_can_be_made_while_others_are_listed() -> None:
    backend: Any = kms_backends[ACCOUNT]["us-east-1"]
    backend.keys["first"] = "a key"
    for name in backend.keys:
        backend.keys[f"beside-{name}"] = "another"
    for name in backend.keys:
        backend.keys.pop(name)
    assert backend.keys == {}


def test_a_snapshot_dictionary_is_a_dictionary() -> None:
    snapshot = SnapshotDict({"a": 1, "b": 2})
    assert snapshot == {"a": 1, "b": 2}
    assert list(snapshot) == snapshot.keys() == ["a", "b"]
    assert snapshot.values() == [1, 2]
    assert dict(snapshot.items()) == dict(snapshot) == {**snapshot}
    assert "a" in snapshot
