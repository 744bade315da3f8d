"""Requests to a deployment ignore the proxies that the user's environment names.

A sandbox is on loopback, which a company's proxy cannot reach. httpx reads HTTP_PROXY, ALL_PROXY
and so on unless it gets ``trust_env=False``; for a SOCKS proxy it even fails without an extra
package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall.errors import ServiceError
from seawall.lease import LeaseClient, UndoCall, perform

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("chaos", "loadtests", "seawall/lease")
METHODS = {"AsyncClient", "Client", "delete", "get", "patch", "post", "put", "request", "stream"}


def clients_that_trust_the_environment(source: str) -> Iterator[int]:
    """Lines of ``source`` that make an httpx client or request without ``trust_env=False``."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "httpx"
            and node.func.attr in METHODS
            and "trust_env=False" not in [ast.unparse(keyword) for keyword in node.keywords]
        ):
            yield node.lineno


def test_no_client_of_a_deployment_trusts_the_environment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in clients_that_trust_the_environment(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("httpx.get(url)", [1]),
        ("httpx.AsyncClient(timeout=1, trust_env=True)", [1]),
        ("httpx.Client(trust_env=False)", []),
        ("client.get(url)", []),
    ],
)
def test_a_client_that_trusts_the_environment_is_found(source: str, lines: list[int]) -> None:
    assert list(clients_that_trust_the_environment(source)) == lines


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5h://127.0.0.1:1"])
def test_leases_and_undo_calls_use_no_proxy(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refused by the address itself, and does not fail at the proxy."""
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, proxy)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    address = "http://127.0.0.1:2"
    with (
        LeaseClient(address) as client,
        pytest.raises(ServiceError, match=r"ConnectError .*refused"),
    ):
        client.renew("dark")
    with pytest.raises(ServiceError, match=r"ConnectError: .*refused"):
        perform([UndoCall(method="DELETE", url=address)], within_ms=1)
