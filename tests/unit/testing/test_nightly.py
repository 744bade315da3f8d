"""The plugin of `make nightly`, tried on small repositories of tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.testing.nightly import read_passed, repetitions

pytest_plugins = ["pytester"]

SUITE = """
    import pathlib
    import pytest

    def test_passes(): pass

    @pytest.mark.parametrize("letter", "ab")
    def test_passes_with(letter): pass

    def test_fails(): assert False

    def test_is_skipped(): pytest.skip("not here")

    @pytest.fixture
    def cannot_be_torn_down():
        yield
        raise RuntimeError("teardown")

    def test_fails_in_teardown(cannot_be_torn_down): pass
    """
ALL_PASS = "def test_passes(): pass"
SETTINGS = """
    [pytest]
    addopts = --import-mode=importlib
    asyncio_default_fixture_loop_scope = function
    """


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def committed(pytester: pytest.Pytester, suite: str) -> None:
    """A repository whose only commit has ``suite``; what pytester itself writes is ignored."""
    pytester.makeini(SETTINGS)
    pytester.makepyfile(test_suite=suite)
    pytester.makefile("", **{".gitignore": "stdout\nstderr\nrunpytest-*\n__pycache__"})
    git(pytester, "init", "--quiet")
    commit(pytester)


def commit(pytester: pytest.Pytester) -> None:
    git(pytester, "add", "--all")
    git(pytester, "commit", "--quiet", "--allow-empty", "--message", "state")


def git(pytester: pytest.Pytester, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@invalid")
    subprocess.run(["git", *identity, *arguments], cwd=pytester.path, check=True)


def nightly(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest("-p", "tests.testing.nightly", *arguments)


def test_only_what_did_not_pass_on_this_commit_runs_again(pytester: pytest.Pytester) -> None:
    """Failures, errors and skips run again; passes, also of single parameters, do not."""
    committed(pytester, SUITE)
    first = nightly(pytester)
    first.assert_outcomes(passed=4, failed=1, errors=1, skipped=1)
    first.stdout.fnmatch_lines(["nightly: 0 tests were not run again*; 3 passes recorded"])

    again = nightly(pytester)

    counts = again.parseoutcomes()
    assert {name: counts[name] for name in ("passed", "failed", "errors", "skipped")} == {
        "passed": 1,
        "failed": 1,
        "errors": 1,
        "skipped": 1,
    }
    again.stdout.fnmatch_lines(["nightly: 3 tests were not run again*; 0 passes recorded"])


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_a_part_that_passed_entirely_ends_well_without_running(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Pytest alone would say that nothing was collected, exit code 5."""
    committed(pytester, ALL_PASS)
    assert nightly(pytester, *workers).ret == pytest.ExitCode.OK

    again = nightly(pytester, *workers)

    assert again.ret == pytest.ExitCode.OK
    assert "passed" not in again.parseoutcomes()
    assert nightly(pytester, "-k", "nothing_has_this_name").ret == (
        pytest.ExitCode.NO_TESTS_COLLECTED
    )


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "worker"])
def test_again_runs_and_records_what_passed_before(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """As in `make test`, after which a nightly run has only the rest to do."""
    committed(pytester, ALL_PASS)
    nightly(pytester, "--again", *workers).assert_outcomes(passed=1)

    nightly(pytester, "--again", *workers).assert_outcomes(passed=1)

    assert "passed" not in nightly(pytester, *workers).parseoutcomes()


def test_another_commit_runs_everything(pytester: pytest.Pytester) -> None:
    committed(pytester, ALL_PASS)
    nightly(pytester)
    commit(pytester)

    nightly(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize("change", ["edited", "untracked"])
def test_with_uncommitted_changes_nothing_is_reused_or_recorded(
    pytester: pytest.Pytester, change: str, tmp_path: Path
) -> None:
    """The record of the commit stays as it was."""
    committed(pytester, ALL_PASS)
    nightly(pytester)
    [record] = (tmp_path / "cache" / "seawall" / "nightly").iterdir()
    before = record.read_bytes()
    if change == "edited":
        pytester.makepyfile(test_suite=f"{ALL_PASS}\ndef test_more(): pass")
    else:
        pytester.makepyfile(test_other=ALL_PASS)

    changed = nightly(pytester)

    changed.assert_outcomes(passed=2)
    changed.stdout.fnmatch_lines(
        ["nightly: every test runs and no pass is recorded: *uncommitted*"]
    )
    assert record.read_bytes() == before


def test_passes_are_dropped_when_the_work_tree_changes_during_the_run(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    """The test itself plays the colleague who edits a file."""
    committed(
        pytester,
        """
        import pathlib

        def test_edits(): pathlib.Path(__file__).with_name("new.py").touch()
        """,
    )

    ran = nightly(pytester)

    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["nightly: later passes are not recorded: *uncommitted changes"])
    assert not (tmp_path / "cache" / "seawall" / "nightly").exists()


def test_without_git_every_test_runs(pytester: pytest.Pytester) -> None:
    """A tarball has no commit."""
    pytester.makeini(SETTINGS)
    pytester.makepyfile(test_suite=ALL_PASS)

    ran = nightly(pytester)

    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["*no pass is recorded: this is not a git work tree*"])


def test_a_line_that_a_killed_run_left_incomplete_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "passed.jsonl"
    path.write_text('"test_a.py::test_one"\n"test_a.py::te', encoding="utf-8")

    assert read_passed(path) == {"test_a.py::test_one"}


@pytest.mark.parametrize(
    ("number", "word"),
    repetitions([(1, "one"), (2, "two"), pytest.param(3, "three", id="last")], keep=1),
)
def test_only_the_first_cases_are_left_to_make_test(
    request: pytest.FixtureRequest, number: int, word: str
) -> None:
    """Values, marks and ids stay as they are."""
    assert word == {1: "one", 2: "two", 3: "three"}[number]
    assert (request.node.get_closest_marker("nightly") is None) == (number == 1)
    assert ("last" in request.node.name) == (number == 3)
