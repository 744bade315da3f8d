"""What a deployment offers follows from its file, and each kind of evidence is read or refused."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seawall.cache import repository_root
from seawall.conventions.evidence import EVERY_PORT, Port
from seawall.errors import EvidenceError, UsageError
from seawall.evidence.chain import Reach
from seawall.evidence.ports import chain_sources, chains_of, counted_of, offers_of, read_source
from seawall.formats.deployment import Source
from seawall.policy_file import load_policy
from seawall.scorecard.run import FILES, PORT_OF, PORTS
from tests.testing.deployments import make_deployment

API = {"urls": {"api": "http://127.0.0.1:1"}}
CONTRACTS = {
    "contracts": {"hot": "0x1"},
    "wallets": {},
    "tokens": {"USDX": "0x7"},
    "signers": {"hot": "0x2"},
}
AWS_LOG: dict[str, Any] = {"outputs": "o.json", "aws_log": {"within_s": 9, "settled_s": 2}}
TRANSFERS = {"senders": ["0xAB"], "own": ["0xEF"], "tokens": {"USDX": "0xCD"}, "first_block": 7}


PROVIDER = {"url": "http://127.0.0.1:1", "reader": "reader.credential"}
POLICY = load_policy(repository_root() / "policies" / "sandbox.yaml")
RAILS = {rail: {"primary": PROVIDER, "standby": PROVIDER} for rail in POLICY.paying_rails()}


def network(**payouts: Any) -> dict[str, Any]:
    return {"chain_id": 1, "node": "http://127.0.0.1:1", **payouts}


@pytest.mark.parametrize(
    ("fields", "offers"),
    [
        (API, ()),
        ({}, ("metrics",)),
        ({**API, "pages": "p.jsonl"}, ("pages",)),
        ({**API, "networks": {"aster": network()}}, ()),
        ({**API, "networks": {"aster": network(transfers=TRANSFERS)}}, ("payouts",)),
        (
            {**API, "networks": {"aster": network(payouts=CONTRACTS)}},
            ("payouts", "numbered_payouts", "balances", "key_counts"),
        ),
        (
            {
                **API,
                "networks": {
                    "aster": network(payouts=CONTRACTS),
                    "birch": network(transfers=TRANSFERS),
                },
            },
            ("payouts", "key_counts"),
        ),
        ({**API, "evidence": {"key_counts": {"file": "k.csv"}}}, ("key_counts",)),
        ({**API, "rails": RAILS}, ("statements",)),
        ({**API, "rails": {"fiat": RAILS["fiat"]}}, ()),
        ({**API, "evidence": {"statements": {"file": "s.csv"}}}, ("statements",)),
        ({**API, "evidence": {"withdrawals": {"file": "w.csv"}}}, ("withdrawals",)),
        ({**API, "evidence": {"aws_log": {"command": ["print"]}}}, ("aws_log",)),
        ({**API, **AWS_LOG}, ("aws_log",)),
    ],
)
def test_what_is_offered_follows_from_the_file(
    fields: dict[str, Any], offers: tuple[Port, ...], tmp_path: Path
) -> None:
    assert offers_of(make_deployment(tmp_path, **fields), POLICY) == offers


def test_the_reference_venues_records_and_networks_offer_everything(tmp_path: Path) -> None:
    deployment = make_deployment(
        tmp_path,
        networks={"aster": network(payouts=CONTRACTS)},
        pages="p.jsonl",
        rails=RAILS,
        **AWS_LOG,
        venue={
            "records": "adapters.reference_venue",
            "settings": {"auditor_url_file": "u", "sign_log_url_file": "s"},
        },
    )
    assert offers_of(deployment, POLICY) == EVERY_PORT


@pytest.mark.parametrize(
    ("networks", "evidence", "counted"),
    [
        ({"aster": network(payouts=CONTRACTS)}, {}, ("aster",)),
        ({"aster": network(transfers=TRANSFERS)}, {}, ()),
        (
            {"aster": network(payouts=CONTRACTS), "birch": network(transfers=TRANSFERS)},
            {},
            ("aster",),
        ),
        (
            {"aster": network(transfers=TRANSFERS), "birch": network()},
            {"key_counts": {"file": "k.csv"}},
            ("aster", "birch"),
        ),
    ],
)
def test_keys_are_counted_where_the_deployment_names_them(
    networks: dict[str, Any], evidence: dict[str, Any], counted: tuple[str, ...], tmp_path: Path
) -> None:
    """Transfers say from which address, and not of which wallet; a file must count for all."""
    deployment = make_deployment(tmp_path, **API, networks=networks, evidence=evidence)

    assert counted_of(deployment) == counted


@pytest.mark.parametrize(
    ("evidence", "complaint"),
    [
        ({"metrics": {"file": "m.json"}}, "comes from Prometheus already"),
        ({"numbered_payouts": {"file": "x"}}, "has no file of its own"),
        ({"ledger": {"command": ["print"]}}, "is 2 files, and a command prints one"),
    ],
)
def test_a_source_that_could_not_count_is_refused(
    evidence: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=complaint):
        offers_of(make_deployment(tmp_path, evidence=evidence), POLICY)


def test_every_file_of_evidence_has_one_port_or_is_the_kits_own() -> None:
    own = set(FILES) - {name for names in PORTS.values() for name in names}
    assert own == {
        "manifest",
        "policy",
        "timeline",
        "arrivals",
        "earlier",
        "requests",
        "planned_reads",
        "reads",
        "flood",
        "journal",
        "probes",
        "followed",
    }
    assert set(PORTS) == set(EVERY_PORT)
    assert len(PORT_OF) == sum(map(len, PORTS.values()))


def read(port: Port, into: Path, **source: Any) -> None:
    read_source(
        port,
        Source.model_validate(source),
        folder=into.parent,
        into=into,
        started_at=1.5,
        ended_at=2.0,
    )


def test_files_folders_and_commands_fill_the_run(tmp_path: Path) -> None:
    run, folder = tmp_path / "run", tmp_path / "mine"
    folder.mkdir()
    (folder / "w.csv").write_text("id\n1\n")
    (folder / "ledger.csv").write_text("l\n")
    (folder / "ledger_faults.json").write_text("{}")
    program = "import os; print('at', os.environ['SEAWALL_STARTED_AT'], os.getcwd())"

    read("withdrawals", run, file=folder / "w.csv")
    read("ledger", run, file=folder)
    read("payouts", run, command=[sys.executable, "-c", program])

    assert (run / "records" / "withdrawals.csv").read_text() == "id\n1\n"
    assert (run / "records" / "ledger_faults.json").read_text() == "{}"
    assert (run / "chain" / "payouts.csv").read_text() == f"at 1.500000 {tmp_path}\n"
    assert (run / "chain" / "blocks.csv").read_text() == "network,number,timestamp,observed_at\n"


@pytest.mark.parametrize(
    ("written_at", "until", "complaint"),
    [
        (1.9, None, "was last written before the drill ended"),
        (2.0, None, ""),
        (2.1, 1.9, "by `until`, and the drill ended later"),
        (0.0, 2.0, ""),
    ],
)
def test_a_file_says_nothing_of_what_came_after_it(
    written_at: float, until: float | None, complaint: str, tmp_path: Path
) -> None:
    """Written during a drill, it lacks the end; the user may say how far it goes."""
    statement = tmp_path / "statement.csv"
    statement.write_text("network\n")
    os.utime(statement, (written_at, written_at))
    more = {} if until is None else {"until": datetime.fromtimestamp(until, UTC)}
    source = Source.model_validate({"file": statement} | more)
    reading = partial(
        read_source,
        "payouts",
        source,
        folder=tmp_path,
        into=tmp_path / "run",
        started_at=1.5,
        ended_at=2.0,
    )

    if complaint:
        with pytest.raises(EvidenceError, match=complaint) as raised:
            reading()
        assert raised.value.remedy
    else:
        reading()
    reading(of_drill=False)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"file": "nowhere.csv"}, "No such file"),
        ({"command": ["/nowhere/statement"]}, "could not be run"),
        (
            {"command": [sys.executable, "-c", "import sys; sys.exit('no bank today')"]},
            "ended with 1: no bank today",
        ),
        (
            {"command": [sys.executable, "-c", "input()"], "timeout_s": 5},
            "ended with 1",  # it has no input that it could wait for
        ),
    ],
)
def test_a_source_that_fails_is_missing_evidence_with_the_reason(
    source: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(EvidenceError, match=complaint):
        read("withdrawals", tmp_path / "run", **source)
    assert not (tmp_path / "run" / "records" / "withdrawals.csv").exists()


def test_transfers_are_read_from_the_head_of_before_the_drill(tmp_path: Path) -> None:
    policy = load_policy(repository_root() / "policies" / "sandbox.yaml")
    deployment = make_deployment(
        tmp_path, networks={"aster": network(transfers=TRANSFERS), "birch": network()}
    )
    assert chains_of(deployment) == ("aster",)
    [before] = chain_sources(deployment, policy, Reach(heads={"aster": 3}))
    [after] = chain_sources(deployment, policy, Reach(heads={"aster": 30}))
    assert (before.first_block, after.first_block) == (7, 30)
    assert (before.senders, before.own) == (("0xab",), ("0xef",))
    assert before.assets == {"AST": "0x" + "0" * 40, "USDX": "0xcd"}
    assert before.final_within_s > 0
