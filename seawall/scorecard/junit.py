"""Outcomes as a JUnit file: FAIL is a failure, UNKNOWN an error, so neither is green in CI.

What is not claimed is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from seawall.scorecard.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that was judged; ``text`` is everything that helps, ``reason`` one line.

    Without an ``outcome`` it was not.
    """

    suite: str
    name: str
    outcome: Outcome | None
    reason: str
    text: str = ""


_NOTHING = Case(
    suite="nothing", name="nothing", outcome=Outcome.UNKNOWN, reason="nothing was judged"
)


def junit(cases: Iterable[Case], *, of: str | None = None) -> str:
    """The file's text: a suite for each ``suite``, in the order of their first case.

    ``of`` is what was judged, where CI may collect the files of several. Without a case it holds an
    error, because an empty file would be green.
    """
    whole = "seawall" if of is None else f"seawall.{of}"
    root = ET.Element("testsuites", name=whole)
    suites: dict[str, ET.Element] = {}
    for case in [*cases] or [_NOTHING]:
        if case.suite not in suites:
            suites[case.suite] = ET.SubElement(root, "testsuite", name=case.suite)
        element = ET.SubElement(
            suites[case.suite], "testcase", classname=f"{whole}.{case.suite}", name=case.name
        )
        if case.outcome is None:
            ET.SubElement(element, "skipped", message=_printable(case.reason))
        elif case.outcome is not Outcome.PASS:
            kind = "failure" if case.outcome is Outcome.FAIL else "error"
            found = ET.SubElement(element, kind, message=_printable(case.reason))
            found.text = _printable(case.text)
    for suite in [*suites.values(), root]:
        suite.set("tests", str(len(suite.findall(".//testcase"))))
        suite.set("failures", str(len(suite.findall(".//failure"))))
        suite.set("errors", str(len(suite.findall(".//error"))))
        suite.set("skipped", str(len(suite.findall(".//skipped"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """``text`` with ``?`` for characters that XML 1.0 forbids, which a log may contain."""
    return "".join(
        character
        if character in "\n\t"
        or (
            character >= " "
            and character not in "\ufffe\uffff"
            and not "\ud800" <= character <= "\udfff"
        )
        else "?"
        for character in text
    )
