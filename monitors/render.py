"""Render alert rules, their tests and alert routing from a policy.

Usage: ``python -m monitors.render --policy FILE [--out DIR | --check]``. Without ``--out`` the
files go to ``generated/<policy>/``, which is committed; ``--check`` writes nothing and exits 1 if
one of them is stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from monitors.alerts import alerts_of, rules_of
from monitors.routing import amp_routing_of, routing_of
from monitors.rule_tests import rule_tests_of
from seawall.conventions import generated
from seawall.errors import SeawallError, UsageError, WorldError
from seawall.policy import Policy
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "generated"
RULES_FILE, AMP_ROUTING_FILE = generated.RULES_FILE, generated.AMP_ROUTING_FILE
TESTS_FILE, ROUTING_FILE = "rules_test.yml", "alertmanager.yml"


def render(policy: Policy) -> dict[str, str]:
    """Text of every generated file by name.

    Raises :class:`UsageError` if an alert has no runbook.
    """
    missing = sorted(
        {alert.runbook for alert in alerts_of(policy) if not (ROOT / alert.runbook).is_file()}
    )
    if missing:
        raise UsageError(
            f"alerts name runbooks that do not exist: {', '.join(missing)}",
            remedy="write them; nobody is paged without being told what to do",
        )
    documents = {
        RULES_FILE: rules_of(policy),
        TESTS_FILE: rule_tests_of(policy, rules_file=RULES_FILE),
        ROUTING_FILE: routing_of(policy),
        # AMP takes Alertmanager's configuration as text within a document of its own.
        AMP_ROUTING_FILE: {"alertmanager_config": _yaml(amp_routing_of(policy))},
    }
    head = (
        f"# DO NOT EDIT: rendered from the policy {policy.policy} by `python -m monitors.render`.\n"
        f"{generated.rendered_from(policy.digest)}\n"
    )
    return {name: head + _yaml(document) for name, document in documents.items()}


def stale(policy: Policy, *, folder: Path | None = None) -> list[Path]:
    """Generated files that are missing, differ, or are rendered by nothing.

    The file that ``infra.render`` writes is that module's to check.
    """
    folder = folder or GENERATED / policy.policy
    rendered = render(policy)
    wrong = [
        folder / name
        for name, text in rendered.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    known = {*rendered, generated.EXPECTED_RESOURCES_FILE}
    return wrong + [path for path in present if path.name not in known]


def write(policy: Policy, *, folder: Path | None = None) -> list[Path]:
    """Write every generated file; returns their paths. Raises :class:`WorldError`."""
    folder = folder or GENERATED / policy.policy
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in render(policy).items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise WorldError(f"{folder} cannot be written: {error.strerror}") from error
    return paths


class _Plain(yaml.SafeDumper):
    """SafeDumper with blocks for text of several lines, and no aliases: each rule stands alone."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer to an equal value elsewhere."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Plain.add_representer(str, _text)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=1_000, allow_unicode=True)


def main(arguments: list[str] | None = None) -> int:
    """Render or check; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m monitors.render",
        description="Render alert rules and routing from a policy.",
    )
    parser.add_argument("--policy", type=Path, required=True, help="the policy")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="folder to write to (default: generated/<policy>)")
    where.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file is stale"
    )
    options = parser.parse_args(arguments)
    try:
        policy = load_policy(options.policy)
        if options.check:
            wrong = stale(policy)
            for path in wrong:
                print(
                    f"{path.relative_to(ROOT)} is stale;"
                    f" run `python -m monitors.render --policy {options.policy}`",
                    file=sys.stderr,
                )
            return 1 if wrong else 0
        for path in write(policy, folder=options.out):
            print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
