"""Package clients get the caller's network settings and none that change what is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seawall.setup.variables import (
    environment,
    go_environment,
    npm_environment,
    pip_environment,
    uv_environment,
)

PROXIES = ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE")
"""Package clients need the user's proxy and certificates, whatever the rest of the kit does."""


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with nothing of the machine's own that matters here."""
    for prefix in ("PIP_", "UV_", "GO", "NODE", "PYTEST"):
        for name in list(os.environ):
            if name.startswith(prefix):
                monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))


def test_every_package_client_keeps_the_callers_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, "kept")
    for env in (
        pip_environment(),
        uv_environment(),
        go_environment(Path("/usr/bin/go")),
        npm_environment(),
    ):
        assert {name: env.get(name) for name in PROXIES} == dict.fromkeys(PROXIES, "kept")


def test_pip_installs_where_it_is_asked_to_whatever_the_user_prefers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PREFIX", "PIP_CONSTRAINT", "PIP_CERT"):
        monkeypatch.setenv(name, "1")
    env = pip_environment()
    assert {name: value for name, value in env.items() if name.startswith("PIP_")} == {
        "PIP_CERT": "1",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }


def test_uv_gets_pips_index_and_neither_bytecode_nor_constraints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "UV_COMPILE_BYTECODE": "1",
        "UV_CONSTRAINT": "other.txt",
        "UV_PYTHON": "3.9",
        "UV_LINK_MODE": "copy",
        "VIRTUAL_ENV": "/of/another/project",
        "PIP_INDEX_URL": "https://index.example",
    }.items():
        monkeypatch.setenv(name, value)
    env = uv_environment()
    assert {name: value for name, value in env.items() if name.startswith(("UV_", "VIRTUAL"))} == {
        "UV_LINK_MODE": "copy",
        "UV_DEFAULT_INDEX": "https://index.example",
    }


def test_go_builds_for_this_machine_with_the_compiler_that_was_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "GOROOT": "/of/another/release",
        "GOOS": "windows",
        "GO111MODULE": "off",
        "GOFLAGS": "-mod=vendor",
        "GOPATH": "/go",
        "GOPROXY": "https://proxy.example",
    }.items():
        monkeypatch.setenv(name, value)
    env = go_environment(Path("/usr/bin/go"))
    assert {name: value for name, value in env.items() if name.startswith("GO")} == {
        "GOPATH": "/go",
        "GOPROXY": "https://proxy.example",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly",
    }
    ours = go_environment(tmp_path / "a cache" / "seawall" / "go" / "bin" / "go")
    assert ours["GOMODCACHE"].startswith(str(tmp_path))


def test_options_of_the_users_node_do_not_reach_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--unknown")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", "ca.pem")
    env = npm_environment()
    assert "NODE_OPTIONS" not in env
    assert env["NODE_EXTRA_CA_CERTS"] == "ca.pem"


def test_a_cache_with_a_space_in_its_path_is_one_option_of_pytest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--durations=3")
    options = environment()["PYTEST_ADDOPTS"]
    assert options == f"--durations=3 -o 'cache_dir={tmp_path}/a cache/seawall/pytest'"
    monkeypatch.setenv("PYTEST_ADDOPTS", options)
    assert environment()["PYTEST_ADDOPTS"] == options
