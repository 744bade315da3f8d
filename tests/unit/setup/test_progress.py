"""Set-up says how far it is, and neither floods a log nor falls silent."""

from __future__ import annotations

from seawall.setup.build import go_progress
from seawall.setup.progress import PLAIN_INTERVAL_S, SetupProgress, plain_lines


def test_plain_lines_report_each_new_activity_and_then_one_line_per_interval() -> None:
    lines: list[str] = []
    now = 0.0
    report = plain_lines(write=lines.append, clock=lambda: now)
    report(SetupProgress(program="pulumi", activity="downloading modules"))
    report(SetupProgress(program="pulumi", activity="compiling packages", done=1, total=900))
    report(SetupProgress(program="pulumi", activity="compiling packages", done=2, total=900))
    now += PLAIN_INTERVAL_S
    report(SetupProgress(program="pulumi", activity="compiling packages", done=300, total=900))
    report(SetupProgress(program="pulumi", activity="3.258.0 built", finished=True))
    assert lines == [
        "seawall: pulumi: downloading modules",
        "seawall: pulumi: compiling packages 1/900",
        "seawall: pulumi: compiling packages 300/900",
        "seawall: pulumi: 3.258.0 built",
    ]


def test_compiled_packages_are_counted_and_other_lines_are_not() -> None:
    compiled = 0
    shown = []
    for line in (
        "go: downloading github.com/a/b v1.0.0",
        "github.com/a/b",
        "# github.com/a/b",
        "internal/cpu",
        "warning: x",
    ):
        step, compiled = go_progress(line, program="x", compiled=compiled, total=2)
        shown.append(step.activity + step.measure if step else None)
    assert compiled == 2
    assert shown == [
        "downloading modules",
        "compiling packages 1/2",
        None,
        "compiling packages 2/2",
        None,
    ]
