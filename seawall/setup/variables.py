"""The variables that set-up gives to other programs.

`environment` is what a process needs to run every part by its native entry point. The others are
what package clients and compilers (pip, uv, Go, npm) get: the caller's proxy, certificates,
registries and caches, and nothing that changes what is installed or built. A ``PIP_USER=1`` or
``GOOS=windows`` in a user's shell is meant for the user's own packages.

Standard library only: the bare Python that makes the environment imports this module too.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from pathlib import Path

from seawall.cache import cache_root, digest_of, repository_root
from seawall.setup.programs import PROGRAMS, find

PIP_KEPT = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY"
    r"|TIMEOUT|DEFAULT_TIMEOUT|RETRIES|CACHE_DIR|NO_CACHE_DIR|CONFIG_FILE|KEYRING_PROVIDER"
    r"|DISABLE_PIP_VERSION_CHECK)"
)
"""Where pip finds packages and how it reaches them; its other variables say what it installs."""
UV_KEPT = re.compile(
    r"UV_(INDEX.*|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|OFFLINE|INSECURE_HOST"
    r"|NATIVE_TLS|SYSTEM_CERTS|HTTP_.*|REQUEST_TIMEOUT|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE"
    r"|LINK_MODE|CONCURRENT_.*|CONFIG_FILE)"
)
"""The same for uv.

``UV_COMPILE_BYTECODE`` is left out too: of 14,000 modules a game day imports some 2,000, which cost
it a few seconds once; compiling all of them takes longer than installing.
"""
GO_KEPT = re.compile(
    r"GO(PATH|CACHE|MODCACHE|TMPDIR|PROXY|NOPROXY|PRIVATE|SUMDB|NOSUMDB|INSECURE|AUTH|VCS|ENV"
    r"|MAXPROCS|MEMLIMIT|GC)"
)
"""The same for Go.

GOROOT, GOOS, GOARCH, GO111MODULE, GOEXPERIMENT and their like are left out: a GOROOT of another
release breaks the compiler that was found, and GOOS would make programs for another system.
"""


def environment() -> dict[str, str]:
    """Return the variables to add to a process's own.

    PATH is complete: the Python environment, then the folder of each program that is there, then
    the caller's PATH.
    """
    cache = cache_root()
    binaries = Path(sys.prefix) / "bin"
    found = [folder.path for program in PROGRAMS if (folder := find(program)) is not None]
    caller = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # Each folder once, first place wins: `exec` within `exec` must not grow it.
    path = dict.fromkeys(str(folder) for folder in (binaries, *found, uv_folder(), *caller))
    return {
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": sys.prefix,
        "PYTHONPATH": str(repository_root()),
        # Bytecode and caches of the checks stay out of the work tree.
        "PYTHONPYCACHEPREFIX": str(cache / "pycache"),
        # UTF-8 whatever the locale says.
        "PYTHONUTF8": "1",
        # One per checkout: mypy keys it by relative path, and takes another checkout's for its own.
        "MYPY_CACHE_DIR": str(cache / "mypy" / digest_of(str(repository_root()).encode())),
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
        "PYTEST_ADDOPTS": _once(
            os.environ.get("PYTEST_ADDOPTS", ""),
            shlex.join(("-o", f"cache_dir={cache / 'pytest'}")),
        ),
        # The language host that tools/ builds does not see the engine's `virtualenv` option.
        "PULUMI_PYTHON_CMD": str(binaries / "python"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def uv_folder() -> Path:
    """Return the folder where the pinned uv is or will be."""
    pins = repository_root() / "tools" / "python" / "bootstrap.lock"
    return cache_root() / "uv" / f"{digest_of(pins.read_bytes())}-{platform.machine()}" / "bin"


def pip_environment() -> dict[str, str]:
    """Return the variables for pip."""
    env = _without("PIP_", kept=PIP_KEPT)
    # Set rather than left out: the user's pip.conf may set them, and a variable beats that file.
    return {**env, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def uv_environment() -> dict[str, str]:
    """Return the variables for uv, with pip's index where only pip's is set."""
    env = _without("UV_", kept=UV_KEPT)
    env.pop("VIRTUAL_ENV", None)
    if "PIP_INDEX_URL" in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    return env


def go_environment(go: Path) -> dict[str, str]:
    """Return the variables for the compiler ``go``: never another toolchain than this one."""
    env = {
        **_without("GO", kept=GO_KEPT),
        "GOTOOLCHAIN": "local",
        # A workspace file in a folder above the checkout could change what is built.
        "GOWORK": "off",
        # Not empty: an empty value would let the user's `go env -w GOFLAGS=...` through.
        "GOFLAGS": "-mod=readonly",
    }
    if go.is_relative_to(cache_root()):
        # Without a Go of their own, users get no ~/go either. -modcacherw lets them delete the
        # cache like any other folder.
        env["GOMODCACHE"] = str(cache_root() / "go-modules")
        env["GOFLAGS"] += " -modcacherw"
    return env


def npm_environment() -> dict[str, str]:
    """Return the variables for npm; certificates (``NODE_EXTRA_CA_CERTS``) and registry stay."""
    env = dict(os.environ)
    env.pop("NODE_OPTIONS", None)  # an option that this Node does not know would end it
    env.pop("NODE_ENV", None)
    return env


def _without(prefix: str, *, kept: re.Pattern[str]) -> dict[str, str]:
    """Return the process's variables without those of one tool, but with its ``kept`` ones."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(prefix) or kept.fullmatch(name)
    }


def _once(options: str, option: str) -> str:
    return options if option in options else f"{options} {option}".strip()
