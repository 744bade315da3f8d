"""The command line of a program that renders files of ``generated/<policy>/`` from a policy.

``--policy FILE [--out DIR | --check]``: without ``--out`` the files go to ``generated/<policy>/``,
which is committed; ``--check`` writes nothing and exits 1 if one of them is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seawall.cache import repository_root
from seawall.conventions import generated
from seawall.errors import ExitCode, SeawallError, WorldError
from seawall.policy import Policy
from seawall.policy_file import load_policy


@dataclass(frozen=True, kw_only=True)
class Renderer:
    """One such program.

    Attributes:
        module: What follows ``python -m``.
        description: What it renders, for its help.
        render: The text of each of its files by name, without the two lines at the head.
        folder: Of its own, within the policy's; none if it shares that with others.
    """

    module: str
    description: str
    render: Callable[[Policy], Mapping[str, str]]
    folder: str = ""

    def texts(self, policy: Policy) -> dict[str, str]:
        """The whole text of each of its files by name. Raises what ``render`` raises.

        JSON has no comments, so a JSON file has no head.
        """
        head = (
            f"# DO NOT EDIT: rendered from the policy {policy.policy} by"
            f" `python -m {self.module}`.\n"
            f"{generated.rendered_from(policy.infrastructure_digest)}\n"
        )
        return {
            name: text if name.endswith(".json") else head + text
            for name, text in self.render(policy).items()
        }

    def stale(self, policy: Policy, *, folder: Path | None = None) -> list[Path]:
        """Its files that are missing or differ, and files that no program renders."""
        folder = (folder or folder_of(policy)) / self.folder
        texts = self.texts(policy)
        wrong = [
            folder / name
            for name, text in texts.items()
            if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
        ]
        present = sorted(folder.iterdir()) if folder.is_dir() else []
        expected = texts if self.folder else {*generated.FILES, generated.EXPERIMENTS_FOLDER}
        return wrong + [path for path in present if path.name not in expected]

    def write(self, policy: Policy, *, folder: Path | None = None) -> list[Path]:
        """Write its files; returns their paths. Raises :class:`WorldError`."""
        folder = (folder or folder_of(policy)) / self.folder
        texts = self.texts(policy)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise WorldError(f"{folder} cannot be written: {error.strerror}") from error
        return [folder / name for name in texts]

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Render or check; returns the exit code."""
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.module}", description=self.description
        )
        parser.add_argument("--policy", type=Path, required=True, help="the policy")
        where = parser.add_mutually_exclusive_group()
        where.add_argument(
            "--out", type=Path, help="folder to write to (default: generated/<policy>)"
        )
        where.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 if a file is stale"
        )
        options = parser.parse_args(arguments)
        remedy = f"run `python -m {self.module} --policy {options.policy}`"
        try:
            policy = load_policy(options.policy)
            if options.check:
                wrong = self.stale(policy)
                for path in wrong:
                    print(f"{_shown(path)} is stale; {remedy}", file=sys.stderr)
                return ExitCode.FAIL if wrong else ExitCode.PASS
            for path in self.write(policy, folder=options.out):
                print(_shown(path))
        except SeawallError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        return ExitCode.PASS


def folder_of(policy: Policy) -> Path:
    """Where what is rendered from ``policy`` is committed."""
    return repository_root() / "generated" / policy.policy


def _shown(path: Path) -> Path:
    root = repository_root()
    return path.relative_to(root) if path.is_relative_to(root) else path
