"""A pytest plugin for `make nightly`: a test that passed on this commit is not run again.

Load it with ``-p tests.testing.nightly``. It keeps the ids of passed tests in the user's cache, in
one file per commit and Python version, and deselects the tests that the file names. A nightly run
that was interrupted, or that had one failure, is then finished by the same command. With
``--again`` it deselects nothing and still records: `make test` uses it, so a nightly run on the
same commit has only the rest to do.

- Only a clean work tree counts. With uncommitted or untracked files nothing is reused or recorded.
- The work tree is checked again before passes are recorded. After an edit or a new commit in the
  middle of a run, the remaining passes are dropped, because it is unknown which code they ran on.
- Only passes are recorded. Failed, skipped and expected failures run again every time.
- A failing teardown of a shared fixture counts against the last test that used the fixture, as
  pytest reports it. That test runs again, with the fixture.

`repetitions` marks parameters that only `make nightly` runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from seawall.cache import cache_root, make_folder

CHECK_EVERY_S = 5.0
"""How often the work tree is checked while tests pass; `git status` takes about 20 ms."""
_PASSED_INPUT = "nightly_passed"
_LEFT_OUT_OUTPUT = "nightly_left_out"


@dataclass(frozen=True, kw_only=True)
class WorkTree:
    """The commit that a work tree shows, or why it shows none."""

    commit: str = ""
    problem: str = ""

    @classmethod
    def read(cls, root: Path) -> WorkTree:
        """Ask git about the work tree at ``root``."""
        try:
            commit = _git(root, "rev-parse", "HEAD").strip()
            changes = _git(root, "status", "--porcelain")
        except (OSError, subprocess.CalledProcessError):
            return cls(problem="this is not a git work tree with a commit")
        if changes:
            return cls(problem="the work tree has uncommitted changes")
        return cls(commit=commit)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout


def record_path(commit: str) -> Path:
    """The file that names the tests that passed on ``commit``, one JSON string a line."""
    return cache_root() / "nightly" / f"{commit}-{sys.implementation.cache_tag}.jsonl"


def read_passed(path: Path) -> frozenset[str]:
    """The recorded ids; a line that a killed run left incomplete is ignored."""
    if not path.is_file():
        return frozenset()
    passed = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            passed.add(str(json.loads(line)))
        except json.JSONDecodeError:
            continue
    return frozenset(passed)


@dataclass(kw_only=True)
class Deselection:
    """Leaves out the tests that passed before. With pytest-xdist each worker has its own."""

    passed: frozenset[str]
    left_out: int = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """After ``-m`` and ``-k``, so that only tests of this run are counted."""
        before = [item for item in items if item.nodeid in self.passed]
        if before:
            config.hook.pytest_deselected(items=before)
            items[:] = [item for item in items if item.nodeid not in self.passed]
        self.left_out = len(before)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker tells the controller how many it left out."""
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_LEFT_OUT_OUTPUT] = self.left_out


@dataclass(kw_only=True)
class Recording:
    """Records passes and says what was left out. Runs in the process that the user started."""

    root: Path
    work_tree: WorkTree
    deselection: Deselection
    stopped: str = ""
    recorded: int = 0
    _checked_at_s: float = field(default_factory=time.monotonic)
    _pending: list[str] = field(default_factory=list)
    _called: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """pytest-xdist: all workers leave out the same tests, whatever is recorded meanwhile."""
        node.workerinput[_PASSED_INPUT] = sorted(self.deselection.passed)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """pytest-xdist: every worker collects all tests, so their counts are equal."""
        output: dict[str, Any] = getattr(node, "workeroutput", {})
        self.deselection.left_out = output.get(_LEFT_OUT_OUTPUT, self.deselection.left_out)

    def pytest_report_header(self) -> str:
        """Say what may be reused, and from where."""
        if self.work_tree.problem:
            return f"nightly: every test runs and no pass is recorded: {self.work_tree.problem}"
        path = record_path(self.work_tree.commit)
        known = len(self.deselection.passed)
        return f"nightly: {known} tests passed on {self.work_tree.commit[:12]} before ({path})"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed when set-up, call and teardown have."""
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self._called.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid in self._called - self._failed:
            self._pending.append(report.nodeid)
            if time.monotonic() - self._checked_at_s >= CHECK_EVERY_S:
                self._record()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> None:
        """Record the rest. A part of which everything passed before is not an empty part."""
        self._record()
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.deselection.left_out:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many tests were not run again, and why."""
        if self.work_tree.commit:
            terminalreporter.write_line(
                f"nightly: {self.deselection.left_out} tests were not run again, because they"
                f" passed on {self.work_tree.commit[:12]} before; {self.recorded} passes recorded"
            )
        if self.stopped:
            terminalreporter.write_line(f"nightly: later passes are not recorded: {self.stopped}")

    def _record(self) -> None:
        pending, self._pending = self._pending, []
        self._checked_at_s = time.monotonic()
        if not self.work_tree.commit or self.stopped or not pending:
            return
        now = WorkTree.read(self.root)
        if now != self.work_tree:
            self.stopped = now.problem or f"the commit is now {now.commit[:12]}"
            return
        path = record_path(self.work_tree.commit)
        make_folder(path.parent)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{json.dumps(test)}\n" for test in pending))
        self.recorded += len(pending)


def repetitions(cases: Sequence[Any], *, keep: int) -> list[Any]:
    """Cases for ``parametrize`` of one kind: `make test` runs the first ``keep``, nightly all.

    As in ``parametrize``, a case is a value, a tuple of values or a ``pytest.param``.
    """
    return [*cases[:keep], *map(_nightly, cases[keep:])]


def _nightly(case: Any) -> Any:
    if isinstance(case, type(pytest.param())):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.nightly], id=case.id)
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.nightly)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--again``."""
    parser.addoption(
        "--again",
        action="store_true",
        help="run what passed on this commit before, too, and record what passes",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Install the parts that this process needs."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.pluginmanager.register(Deselection(passed=frozenset(worker[_PASSED_INPUT])))
        return
    work_tree = WorkTree.read(config.rootpath)
    reuses = work_tree.commit and not config.getoption("--again")
    passed = read_passed(record_path(work_tree.commit)) if reuses else frozenset()
    deselection = Deselection(passed=passed)
    config.pluginmanager.register(deselection)
    config.pluginmanager.register(
        Recording(root=config.rootpath, work_tree=work_tree, deselection=deselection)
    )
