"""Render the list of the resources that a stack of a policy must declare.

Usage: ``python -m infra.render --policy FILE [--out DIR | --check]``. Without ``--out`` the file
goes to ``generated/<policy>/``, which is committed; ``--check`` writes nothing and exits 1 if it is
stale.

The list is what the program declares now, so rendering is how a resource is added or given up on
purpose; the committed list is what every later run of the program is held against
(``infra.refusals``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.dry_run import expected_of
from infra.expected_resources import written
from seawall.conventions import generated
from seawall.errors import ExitCode, SeawallError, WorldError
from seawall.policy import Policy
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[1]


def render(policy: Policy) -> str:
    """The text of the list.

    Raises :class:`UsageError` or :class:`PolicyError` if the program refuses the policy.
    """
    head = (
        f"# DO NOT EDIT: rendered from the policy {policy.policy} by `python -m infra.render`.\n"
        f"{generated.rendered_from(policy.digest)}\n"
    )
    return written(expected_of(policy, repository=ROOT), head=head)


def main(arguments: list[str] | None = None) -> int:
    """Render or check; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.render",
        description="Render the list of the resources that a stack of a policy must declare.",
    )
    parser.add_argument("--policy", type=Path, required=True, help="the policy")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="folder to write to (default: generated/<policy>)")
    where.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the file is stale"
    )
    options = parser.parse_args(arguments)
    try:
        policy = load_policy(options.policy)
        folder = options.out or ROOT / "generated" / policy.policy
        path = folder / generated.EXPECTED_RESOURCES_FILE
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        text = render(policy)
        if options.check:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return ExitCode.PASS
            print(
                f"{shown} is stale; run `python -m infra.render --policy {options.policy}`",
                file=sys.stderr,
            )
            return ExitCode.FAIL
        _write(path, text)
        print(shown)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.PASS


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldError(f"{path} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
