"""The result of a drill of one control: as text for people, as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from seawall.formats.atomic import write_whole
from seawall.processes.failures import os_failure
from seawall.scorecard.junit import Case, junit
from seawall.scorecard.outcome import Finding, Outcome, combine

_STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.UNKNOWN: "bold yellow"}
_DETAILS_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class DrillResult:
    """Findings by check, with the ``evidence`` for them and the ``conditions`` of the drill."""

    drill: str
    sentence: str
    findings: Mapping[str, Finding]
    conditions: Mapping[str, Any]
    evidence: Any = field(repr=False)

    @property
    def outcome(self) -> Outcome:
        """One verdict; no findings at all prove nothing."""
        return combine(finding.outcome for finding in self.findings.values())

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "drill": self.drill,
            "outcome": self.outcome.value,
            "exit_code": int(self.outcome.exit_code),
            "sentence": self.sentence,
            "conditions": dict(self.conditions),
            "checks": {
                check: {
                    "outcome": finding.outcome.value,
                    "measured": finding.measured,
                    "target": finding.target,
                    "reason": finding.reason,
                    "details": list(finding.details),
                }
                for check, finding in self.findings.items()
            },
        }

    def write(self, directory: Path) -> Path:
        """Write ``<drill>.json`` with the evidence, and the verdict; returns the former's path.

        Each is written whole or not at all.

        Raises :class:`WorldError`.
        """
        path = directory / f"{self.drill}.json"
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_failure(f"{path} cannot be written", error) from error
        self.write_verdict(directory)
        write_whole(path, json.dumps({**self.document(), "evidence": self.evidence}, indent=1))
        return path

    def write_verdict(self, directory: Path) -> None:
        """Write ``verdict.json`` and ``junit.xml``, and leave the evidence as it is.

        Raises :class:`WorldError`.
        """
        write_whole(directory / "verdict.json", json.dumps(self.document(), indent=1) + "\n")
        write_whole(directory / "junit.xml", self.junit())

    def junit(self) -> str:
        """For CI: a test case for each check."""
        return junit(
            Case(
                suite=check.partition(".")[0],
                name=check,
                outcome=finding.outcome,
                reason=finding.reason,
                text="\n".join(
                    (f"measured {finding.measured}, target {finding.target}", *finding.details)
                ),
            )
            for check, finding in self.findings.items()
        )

    def panel(self, path: Path | None) -> Group:
        """For a person at a terminal."""
        table = Table(box=None, pad_edge=False)
        table.add_column("", no_wrap=True)
        for heading in ("measured", "target", ""):
            table.add_column(heading, overflow="fold")
        below: list[Text] = []
        for check, finding in self.findings.items():
            table.add_row(
                check,
                finding.measured,
                finding.target,
                Text(finding.outcome, style=_STYLES[finding.outcome]),
            )
            if finding.outcome is not Outcome.PASS:
                below.append(Text(f"{check}: {finding.reason}"))
            shown = finding.details[:_DETAILS_SHOWN]
            below += [Text(f"  {detail}") for detail in shown]
            if len(finding.details) > len(shown):
                below.append(Text(f"  and {len(finding.details) - len(shown)} more"))
        lines = [Text(f"evidence: {path}")] if path is not None else []
        verdict = Text.assemble(
            (self.outcome.value, _STYLES[self.outcome]), f"  {self.drill}: {self.sentence}"
        )
        return Group(table, *below, *lines, verdict)
