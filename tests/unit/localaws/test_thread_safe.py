from __future__ import annotations

from typing import Any

import pytest
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends

from localaws.emulator import shims
from localaws.emulator.shims.thread_safe import Steady

ACCOUNT = "999999999999"


@pytest.fixture(autouse=True)
def installed() -> None:
    shims.install()


def test_roles_can_be_made_while_others_are_looked_through() -> None:
    backend: Any = iam_backends[ACCOUNT]["aws"]

    def make(name: str) -> None:
        backend.create_role(name, "{}", "/", None, "", [], None)

    make("first")
    for role in backend.get_roles():
        make(f"beside-{role.name}")
    assert {role.name for role in backend.get_roles()} == {"first", "beside-first"}


def test_keys_can_be_made_while_others_are_looked_through() -> None:
    backend: Any = kms_backends[ACCOUNT]["us-east-1"]
    backend.keys["first"] = "a key"
    for name in backend.keys:
        backend.keys[f"beside-{name}"] = "another"
    for name in backend.keys:
        backend.keys.pop(name)
    assert backend.keys == {}


def test_a_steady_dictionary_is_a_dictionary() -> None:
    steady = Steady({"a": 1, "b": 2})
    assert steady == {"a": 1, "b": 2}
    assert list(steady) == steady.keys() == ["a", "b"]
    assert steady.values() == [1, 2]
    assert dict(steady.items()) == dict(steady) == {**steady}
    assert "a" in steady
