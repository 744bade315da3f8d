"""``seawall readiness`` and ``seawall gate``: have the drills passed that must have passed?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.options import DEFAULT_POLICY, JsonOption, PolicyOption, RunsOption, console, emit
from seawall.cli.options import RUNS as DEFAULT_RUNS
from seawall.errors import UsageError

if TYPE_CHECKING:
    from seawall.readiness.model import Readiness

MarkdownOption = Annotated[
    bool, typer.Option("--markdown", help="Print Markdown, for a page or a comment on a change.")
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", help="Also write a JUnit file, for CI.", metavar="FILE")
]


def register(app: typer.Typer) -> None:
    """Add both commands to ``app``."""
    app.command("readiness")(_readiness)
    app.command("gate")(_gate)


def _readiness(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    folder: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
    junit: JunitOption = None,
) -> int:
    """Show which required drills have passed, how recently, and how times develop.

    By the verdicts that stand in the runs. `seawall gate` judges again.
    """
    return _shown(
        _judged(policy, folder, again=False), as_json=as_json, as_markdown=as_markdown, junit=junit
    )


def _gate(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    folder: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
    junit: JunitOption = None,
) -> int:
    """Open (exit 0) only if every required drill has passed recently enough; for CI.

    The runs that count are judged again from their evidence. A missing, stale or unknown run keeps
    it shut (exit 2), a failed one too (exit 1).
    """
    return _shown(
        _judged(policy, folder, again=True), as_json=as_json, as_markdown=as_markdown, junit=junit
    )


def _judged(policy_path: Path, folder: Path, *, again: bool) -> Readiness:
    # start-up of other commands stays quick
    from seawall.cache import cache_root  # noqa: PLC0415
    from seawall.formats.run_directory import RUNS  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415
    from seawall.readiness.history import judged_again, read_runs  # noqa: PLC0415
    from seawall.readiness.model import judge  # noqa: PLC0415

    policy = load_policy(policy_path)
    # Where the checkout is read-only, runs are kept in the cache; those must not be overlooked.
    usual = [each for each in (DEFAULT_RUNS, cache_root() / RUNS) if each.is_dir()]
    runs = read_runs(usual if folder == DEFAULT_RUNS else [folder])
    if again:
        runs = judged_again(policy, runs)
    return judge(policy, runs, now=time.time())


def _shown(readiness: Readiness, *, as_json: bool, as_markdown: bool, junit: Path | None) -> int:
    from seawall.formats.atomic import write_whole  # noqa: PLC0415
    from seawall.readiness import views  # noqa: PLC0415

    if as_json and as_markdown:
        raise UsageError("--json and --markdown exclude each other", remedy="choose one")
    if junit is not None:
        write_whole(junit, views.junit(readiness))
    if as_json:
        emit(views.document(readiness))
    elif as_markdown:
        print(views.markdown(readiness), end="")
    else:
        console().print(views.panel(readiness))
    return readiness.outcome.exit_code
