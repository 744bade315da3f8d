"""Writes the verdict as files.

``verdict.json`` is for gates, ``scorecard.json`` for history, ``junit.xml`` for CI, ``report.html``
for people. The two JSON files name the commit of the kit that judged; ``verdicts.jsonl`` has what
earlier judges said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from seawall.cache import repository_root
from seawall.errors import DiskFullError, WorldError
from seawall.formats.atomic import write_whole
from seawall.formats.run_directory import commit_of
from seawall.scorecard.facts import Facts
from seawall.scorecard.judgement import judge_facts
from seawall.scorecard.junit import Case
from seawall.scorecard.junit import junit as junit_of
from seawall.scorecard.outcome import Outcome, combine
from seawall.scorecard.report import render
from seawall.scorecard.run import Run
from seawall.scorecard.verdict import Result, Verdict


def write(run_dir: Path) -> Verdict:
    """Judge ``run_dir`` and write the four files into it, each whole or not at all.

    A verdict that is there already, and is not the same, is added to ``verdicts.jsonl`` first.

    Raises :class:`DiskFullError` if they cannot be written.
    """
    verdict, report = judged(run_dir)
    commit, dirty = commit_of(repository_root())
    judge = {"judge": {"commit": commit, "dirty": dirty}}
    found = json.dumps(summary(verdict) | judge, indent=1) + "\n"
    try:
        _keep_earlier(run_dir, found)
        _put(run_dir / "verdict.json", found)
        _put(run_dir / "scorecard.json", json.dumps(scorecard(verdict) | judge, indent=1) + "\n")
        _put(run_dir / "junit.xml", junit(verdict))
        _put(run_dir / "report.html", report)
    except WorldError as error:
        raise DiskFullError(
            f"the verdict cannot be written to {run_dir}: {error}",
            remedy="make room there, then run `seawall scorecard` on it",
        ) from error
    return verdict


def judged(run_dir: Path) -> tuple[Verdict, str]:
    """The verdict on ``run_dir`` and its report; nothing is written."""
    facts = Facts(Run(run_dir))
    return _drawn(judge_facts(facts), facts)


def _keep_earlier(run_dir: Path, found: str) -> None:
    """Add the verdict that stands in ``run_dir`` to ``verdicts.jsonl`` if ``found`` differs."""
    try:
        earlier = (run_dir / "verdict.json").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    if earlier == found:
        return
    try:
        line = json.dumps(json.loads(earlier))
    except ValueError:  # a run may hold anything; what was there is kept as it was
        line = json.dumps({"unreadable": earlier})
    kept = run_dir / "verdicts.jsonl"
    before = kept.read_text(encoding="utf-8") if kept.is_file() else ""
    _put(kept, f"{before}{line}\n")


def _drawn(verdict: Verdict, facts: Facts) -> tuple[Verdict, str]:
    """The verdict with its report.

    If the evidence breaks the report, PASS becomes UNKNOWN, and the report is a plain list.
    """
    try:
        return verdict, render(verdict, facts)
    # Evidence may hold anything; there must be a verdict and a page all the same.
    except Exception as error:  # noqa: BLE001
        fault = f"the report cannot be drawn from this evidence: {type(error).__name__}: {error}"
    if verdict.outcome is Outcome.PASS:
        verdict = verdict.model_copy(
            update={
                "outcome": Outcome.UNKNOWN,
                "sentence": f"The drill proves nothing either way: {fault}.",
            }
        )
    lines = "".join(
        f"<li>{escape(f'{result.outcome} {result.id}: {result.reason}')}</li>"
        for result in verdict.results
    )
    return verdict, (
        f'<!doctype html><meta charset="utf-8"><title>{verdict.outcome}</title>'
        f"<h1>{verdict.outcome}</h1>"
        f"<p>{escape(verdict.sentence)}</p><p>{escape(fault)}</p><ul>{lines}</ul>\n"
    )


def summary(verdict: Verdict) -> dict[str, Any]:
    """The content of ``verdict.json``: what a gate needs.

    ``outcome``, ``exit_code``, ``sentence``, ``note`` (or null), ``failed`` and ``unknown`` (ids of
    checks), ``checks`` (outcome by id of every check that is claimed), ``not_claimed`` (what each
    of the others would need, by id), ``times`` (a list, see :class:`Time`), ``figures`` and
    ``identity`` (see :class:`Identity`; null if there is no manifest).
    """
    return {
        "outcome": str(verdict.outcome),
        "exit_code": int(verdict.exit_code),
        "sentence": verdict.sentence,
        "note": verdict.note,
        "failed": list(verdict.failed),
        "unknown": list(verdict.unknown),
        "checks": {result.id: str(result.outcome) for result in verdict.results},
        "not_claimed": {each.id: list(each.needs) for each in verdict.not_claimed},
        "times": [time.model_dump(mode="json") for time in verdict.times],
        "figures": [each.model_dump(mode="json") for each in verdict.figures],
        "identity": None if verdict.identity is None else verdict.identity.model_dump(mode="json"),
    }


def scorecard(verdict: Verdict) -> dict[str, Any]:
    """The content of ``scorecard.json``: the summary, each check in full, categories and goals."""
    categories: dict[str, list[Result]] = {}
    for result in verdict.results:
        categories.setdefault(result.category, []).append(result)
    return {
        **summary(verdict),
        "categories": {name: _rolled_up(results) for name, results in categories.items()},
        "checks": [result.model_dump(mode="json") for result in verdict.results],
        "goals": [goal.model_dump(mode="json") for goal in verdict.goals],
    }


def junit(verdict: Verdict) -> str:
    """The checks as JUnit test cases of the run, a suite for each category."""
    claimed = [
        Case(
            suite=result.category,
            name=result.id,
            outcome=result.outcome,
            reason=result.reason,
            text="\n".join(
                (
                    result.question,
                    f"measured {result.measured}, target {result.target}",
                    *result.details,
                    result.remediation,
                )
            ),
        )
        for result in verdict.results
    ]
    return junit_of(
        claimed
        + [
            Case(
                suite=each.id.partition(".")[0],
                name=each.id,
                outcome=None,
                reason=f"not claimed; it needs {', '.join(each.needs)}",
            )
            for each in verdict.not_claimed
        ],
        of=None if verdict.identity is None else verdict.identity.name,
    )


def _rolled_up(results: Sequence[Result]) -> dict[str, Any]:
    return {
        "outcome": str(combine(result.outcome for result in results)),
        "passed": sum(1 for result in results if result.outcome is Outcome.PASS),
        "total": len(results),
    }


def _put(path: Path, text: str) -> None:
    # Evidence may contain half a surrogate pair, which UTF-8 cannot encode.
    write_whole(path, text.encode(errors="backslashreplace").decode())
