"""Evidence is gathered source by source; one that settles later is waited for, and last."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.drill import collect as module
from seawall.drill.collect import collect
from seawall.drill.earlier import Earlier
from seawall.evidence.chain import ChainSource, Reach
from seawall.formats.deployment import Deployment
from seawall.formats.run_directory import describe
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment

POLICY = load_policy(Path("policies/sandbox.yaml"))
API = {"urls": {"api": "http://127.0.0.1:1"}}
ENDED_AT = 1_700_000_000.0
SAYS_WHEN = "import os; print(os.environ['SEAWALL_ENDED_AT'])"


class Clock:
    """Stands still, but for what is slept."""

    def __init__(self) -> None:
        self.now_s = ENDED_AT
        self.slept: list[float] = []

    def time(self) -> float:
        """Unix seconds."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.slept.append(seconds)
        self.now_s += seconds


def gathered(
    deployment: Deployment,
    run: Path,
    *,
    earlier: Earlier | None = None,
    report: Callable[[str], None] = print,
    collected: Callable[[], None] = lambda: None,
) -> None:
    """The evidence of a calm drill on ``deployment``."""
    collect(
        deployment,
        records=None,
        policy=POLICY,
        manifest=describe(
            POLICY,
            root=run,
            policy_path="policies/sandbox.yaml",
            run_id="run",
            seed=1,
            gameday=None,
            drill="calm",
            replay="",
            sabotage=None,
            programs={},
            knobs={},
        ),
        before=Reach(),
        earlier=Earlier() if earlier is None else earlier,
        run_dir=run,
        report=report,
        collected=collected,
    )


def test_a_source_that_settles_later_is_read_then_and_after_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command is told when the drill ended, not when it is read at last."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    command = [sys.executable, "-c", SAYS_WHEN]
    deployment = make_deployment(
        tmp_path,
        **API,
        evidence={
            "flow": {"command": command, "settles_s": 300},
            "top_ups": {"command": command, "settles_s": 120},
            "withdrawals": {"command": command},
            "decisions": {"command": [sys.executable, "-c", "exit('the desk is shut')"]},
        },
    )
    run = tmp_path / "run"
    run.mkdir()
    said: list[str] = []

    gathered(
        deployment,
        run,
        report=said.append,
        collected=lambda: said.append(f"collected after {sum(clock.slept):g} s"),
    )

    assert clock.slept == [120, 180]
    assert said[0].startswith("no evidence from decisions: EvidenceError: ")
    assert said[1:] == [
        "collected after 0 s",
        "top_ups is read in 120 s, when it has settled",
        "flow is read in 180 s, when it has settled",
    ]
    read = sorted((run / "records").glob("*.csv"))
    assert [path.stem for path in read] == ["flow", "topups", "withdrawals"]
    assert {float(path.read_text()) for path in read} == {ENDED_AT}


class Watching(Earlier):
    """Watches what an earlier drill of the day asked for."""

    @property
    def destinations(self) -> frozenset[str]:
        """Where that was to be paid."""
        return frozenset({"0xearlier"})


def test_the_networks_are_read_for_earlier_drills_too_and_tell_what_keys_have_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any address: a second payment may come from another wallet of the venue."""
    seen = {"chain_id": 1, "node": "http://127.0.0.1:1"}
    payouts = {"contracts": {}, "wallets": {}, "tokens": {}, "signers": {"hot": "0x2"}}
    deployment = make_deployment(
        tmp_path,
        **API,
        networks={
            "aster": seen | {"transfers": {"senders": ["0x1"]}},
            "birch": seen | {"payouts": payouts},
        },
    )
    run = tmp_path / "run"
    run.mkdir()
    (run / "arrivals.csv").write_text("destination\n0xOWN\n")
    (run / "probes.jsonl").write_text("")
    read: list[ChainSource] = []

    def export(sources: list[ChainSource], **_: object) -> dict[str, dict[str, int]]:
        read.extend(sources)
        return {"birch": {"hot": 9}}

    monkeypatch.setattr(module, "export_chain", export)
    earlier = Watching(sent={"birch": {"hot": 4}})

    gathered(deployment, run, earlier=earlier)

    assert read[0].destinations == {"0xown", "0xearlier"}
    assert read[1].sent_earlier == {"hot": 4}
    assert earlier.sent == {"birch": {"hot": 9}}
