"""What customers look at beside their withdrawals: planned, sent, judged as right or not."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtests.arrivals import Arrival
from loadtests.check import problems_of
from loadtests.coordinator import Coordinator, own_part, own_reads
from loadtests.plan import Plan, plan, write_plan
from loadtests.population import CUSTOMERS, Population, populate
from loadtests.reads import PLANNED_READS, PlannedRead, reads_beside
from loadtests.results import ReadResult, RequestResult
from loadtests.shock import PROFILES, Profile, load_profile
from seawall.conventions.reads import FOLLOW_READ, READS, SAMPLES_MIN
from seawall.errors import DocumentError, UsageError
from seawall.formats.drill_contract import ContractAdapter, VenueAdapter, load_adapter
from seawall.policy_file import load_policy
from tests.testing.flood_plans import arrival
from tests.testing.mappings import write_mapping

SANDBOX = load_policy(Path("policies/sandbox.yaml"))
DRILL, CALM_DAY = "signing-region-dark", "calm"
SIZE = CUSTOMERS
POOL = ("aster", "AST")


def _made(name: str, *, seed: int = 1, profile: Profile | None = None) -> tuple[Population, Plan]:
    population = populate(SANDBOX, seed=seed, size=SIZE)
    chosen = profile or load_profile(SANDBOX.drills[name].flood.profile)
    return population, plan(SANDBOX, name, chosen, population, seed=seed)


def _changed(name: str, **values: str) -> dict[str, Any]:
    """The profile of a drill with other assumptions, as its file has it."""
    tree = load_profile(SANDBOX.drills[name].flood.profile).model_dump(mode="json")
    for assumption, value in values.items():
        tree["assumed"][assumption]["value"] = value
    return tree


@pytest.mark.parametrize(("name", "least", "most"), [(DRILL, 22, 27), (CALM_DAY, 40, 55)])
def test_each_operation_is_used_as_often_as_the_profile_says(
    name: str, least: float, most: float
) -> None:
    """Counted over the whole schedule; the run has enough of each to be judged."""
    _, made = _made(name)
    assumed = load_profile(SANDBOX.drills[name].flood.profile).assumed
    firsts = [each for each in made.arrivals if each.attempt == 1]
    counts = Counter(read.operation for read in made.reads)
    in_run = Counter(read.operation for read in made.reads if read.phase == "run")

    assert counts == {
        "login": round(len(firsts) * assumed.logins_per_request.value),
        "balances": round(len(firsts) * assumed.balance_views_per_request.value),
        "status": round(len(firsts) * assumed.status_views_per_request.value),
        FOLLOW_READ: round(len(firsts) * assumed.follows_per_request.value),
    }
    assert min(in_run[operation] for operation in READS) >= SAMPLES_MIN
    assert least < made.knobs["expected"]["reads_per_s"] < most


def test_customers_log_in_and_look_before_they_ask_and_look_again_afterwards() -> None:
    """Within the profile's bounds, in the flood, and balances about as often before as after."""
    _, made = _made(DRILL)
    flood = SANDBOX.drills[DRILL].flood
    after = {operation: [0, 0] for operation in READS}
    for read in made.reads:
        asked = made.arrivals[read.request]
        delay_us = read.offset_us - asked.offset_us
        assert (asked.attempt, asked.customer_id) == (1, read.customer_id)
        assert -2_000_000 <= delay_us < 0 or 1_000_000 <= delay_us <= 5_000_000
        assert 0 <= read.offset_us < (flood.calm + flood.length) * 1_000
        assert (read.phase == "calm") == (read.offset_us < flood.calm * 1_000)
        after[read.operation][delay_us > 0] += 1

    assert after["login"][1] == after["status"][1] == after[FOLLOW_READ][0] == 0
    assert 0.45 < after["balances"][1] / sum(after["balances"]) < 0.55
    assert [read.index for read in made.reads] == list(range(len(made.reads)))
    assert list(made.reads) == sorted(made.reads, key=lambda read: read.offset_us)


def test_a_view_of_balances_must_name_what_the_customer_still_holds_at_the_end() -> None:
    """What all requests together may empty need not be shown: a venue may leave out zeros."""
    population, made = _made(DRILL)
    held = {
        (customer.customer_id, pool): amount
        for customer in population.customers
        for pool, amount in customer.balances.items()
    }
    for each in made.arrivals:
        if each.attempt == 1:
            held[each.customer_id, (each.network, each.asset)] -= each.amount
    views = [read for read in made.reads if read.operation == "balances"]

    for read in views:
        left = {pool for (name, pool), amount in held.items() if name == read.customer_id if amount}
        assert set(read.names) == left
    assert sum(bool(read.names) for read in views) > 0.99 * len(views)
    assert not any(read.names for read in made.reads if read.operation != "balances")


def test_the_same_seed_gives_the_same_reads_and_the_withdrawals_do_not_depend_on_them() -> None:
    """The reads have randomness of their own, so that a seed asks for what it always asked for."""
    _, first = _made(DRILL, seed=5)
    _, again = _made(DRILL, seed=5)
    _, other = _made(DRILL, seed=6)
    more = Profile.model_validate(_changed(DRILL, logins_per_request="0.5"))
    _, eager = _made(DRILL, seed=5, profile=more)

    assert first.reads == again.reads
    assert first.reads != other.reads
    assert eager.arrivals == first.arrivals
    assert eager.reads != first.reads


def test_planned_reads_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A schedule without any has no such file."""
    _, made = _made(CALM_DAY)
    write_plan(made, tmp_path)
    arrivals = tmp_path / "arrivals.csv"
    assert reads_beside(arrivals, made.arrivals) == list(made.reads)

    (tmp_path / PLANNED_READS).unlink()
    assert reads_beside(arrivals, made.arrivals) == []


SPOILED = {
    "an operation that is none": ("status", "gossip"),
    "a phase that is none": (",run,", ",lunch,"),
    "a request that is not planned": (",0,4,", ",9,4,"),
    "a request of another customer": (",0,4,", ",0,5,"),
    "a time that is none": ("0.500000", "soon"),
    "an order that is none": ("1,1.", "7,1."),
    "times that go back": ("1,1.0", "1,0.0"),
    "a name that is no pool": ("aster/AST", "AST"),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_plan_of_reads_is_refused_whole(what: str, tmp_path: Path) -> None:
    """Never a flood that leaves out what it cannot read."""
    text = (
        "index,offset_s,phase,operation,request,customer_id,names\n"
        "0,0.500000,run,balances,0,4,aster/AST\n"
        "1,1.000000,run,status,0,4,\n"
    )
    file = tmp_path / PLANNED_READS
    file.write_text(text, encoding="utf-8")
    arrivals = [arrival(0)]
    assert len(reads_beside(tmp_path / "arrivals.csv", arrivals)) == 2

    old, new = SPOILED[what]
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError, match=PLANNED_READS):
        reads_beside(tmp_path / "arrivals.csv", arrivals)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"logins_per_request": "0"}, "a share above 0 and of at most 1"),
        ({"status_views_per_request": "1.5"}, "a share above 0 and of at most 1"),
        ({"look_before_s_max": "0"}, "a look_before_s_max above 0"),
        ({"look_after_s_min": "6"}, "no more than look_after_s_max"),
    ],
)
def test_a_profile_with_impossible_shares_is_refused_with_its_remedy(
    tmp_path: Path, values: dict[str, str], said: str
) -> None:
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump(_changed(CALM_DAY, **values)))

    with pytest.raises(DocumentError) as refused:
        load_profile("odd", folder=tmp_path)
    assert said in str(refused.value)


def test_a_flood_that_looks_too_seldom_to_prove_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the plan, and by the check of a policy, which names the drill."""
    few = _changed(CALM_DAY, balance_views_per_request="0.01", look_after_s_max="1")
    said = r"it has \d+ reads of balances in the run, and fewer than 50 prove nothing"
    with pytest.raises(UsageError, match=said):
        _made(CALM_DAY, profile=Profile.model_validate(few))

    for file in PROFILES.glob("*.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "calm-day.yaml").write_text(yaml.safe_dump(few))
    monkeypatch.setattr(
        "loadtests.check.load_profile", lambda name: load_profile(name, folder=tmp_path)
    )
    problems = {problem.path: problem for problem in problems_of(SANDBOX)}
    assert "reads of balances in the run" in problems["drills.calm.flood"].found
    assert problems["drills.calm.flood"].remedy.startswith("adjust the profile's assumptions")


def test_a_flood_that_asks_for_less_than_the_venue_pays_is_refused() -> None:
    """By the plan and by the check of a policy: all such requests would be refused."""
    assets = {
        **SANDBOX.assets,
        "USDX": SANDBOX.assets["USDX"].model_copy(update={"withdrawal_min": Decimal(40)}),
    }
    policy = SANDBOX.model_copy(update={"assets": assets})

    problems = {problem.path: problem.found for problem in problems_of(policy)}

    assert re.search(
        r"it asks for [0-9.]+ USDX, and the smallest withdrawal is 40 USDX",
        problems["drills.calm.flood"],
    )


# --- answers


def _read(operation: str, *, names: tuple[tuple[str, str], ...] = ()) -> PlannedRead:
    return PlannedRead(
        index=0,
        offset_us=0,
        phase="run",
        operation=operation,
        request=0,
        customer_id="4",
        names=names,
    )


IDENTITY = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
HELD = {"network": "aster", "asset": "AST", "available": "7"}
ANSWERS = [
    ("login", 200, {"session": "s"}, "answered", ""),
    ("login", 200, {"session": ""}, "failed", "unexpected answer 200"),
    ("login", 401, {"code": "unauthorized", "reason": "x"}, "refused", "unauthorized"),
    ("balances", 200, {"balances": [HELD]}, "answered", ""),
    ("balances", 200, {"balances": []}, "wrong", "balances without aster/AST"),
    ("balances", 200, {"balances": [HELD | {"asset": "USDX"}]}, "wrong", "balances without"),
    ("balances", 200, {"balances": [HELD | {"available": "7.5"}]}, "failed", "unexpected"),
    ("balances", 503, {"code": "unavailable", "reason": "x"}, "refused", "unavailable"),
    ("status", 200, {"tier": "protected"}, "answered", ""),
    ("status", 200, {"tier": "closed"}, "failed", "unexpected answer 200"),
    ("status", 502, {}, "failed", "unexpected answer 502"),
    (FOLLOW_READ, 200, {"id": IDENTITY, "state": "reserved"}, "answered", ""),
    (FOLLOW_READ, 200, {"id": OTHER, "state": "reserved"}, "wrong", "another withdrawal"),
    (FOLLOW_READ, 404, {"code": "not_found", "reason": "x"}, "refused", "not_found"),
]


@pytest.mark.parametrize(("operation", "status", "said", "outcome", "error"), ANSWERS)
def test_only_an_answer_to_what_was_asked_is_an_answer(
    operation: str, status: int, said: dict[str, Any], outcome: str, error: str
) -> None:
    """Not understood is a failure, and understood but not what was asked for is wrong."""
    from loadtests.reader import interpret

    names = (POOL,) if operation == "balances" else ()
    answer = interpret(
        ContractAdapter(),
        _read(operation, names=names),
        identity=IDENTITY,
        status=status,
        headers={},
        body=json.dumps(said).encode(),
    )

    assert answer.outcome == outcome
    assert answer.error.startswith(error)


def test_a_venue_of_ones_own_is_understood_through_its_mapping(tmp_path: Path) -> None:
    """Its words for assets and sessions; a session that is needed must be there."""
    from loadtests.reader import interpret

    mapping: VenueAdapter = load_adapter(
        str(write_mapping(tmp_path, {"assets.aster": {"USDX": "usdx-on-aster"}})), policy=SANDBOX
    )

    def outcome(read: PlannedRead, said: dict[str, Any]) -> str:
        body = json.dumps(said).encode()
        return interpret(
            mapping, read, identity=IDENTITY, status=200, headers={}, body=body
        ).outcome

    holding = {"coin": "usdx-on-aster", "free": "1.5"}
    view = _read("balances", names=(("aster", "USDX"),))
    assert outcome(_read("login"), {"token": "t"}) == "answered"
    assert outcome(_read("login"), {"token": ""}) == "failed"
    assert outcome(view, {"holdings": [holding]}) == "answered"
    assert outcome(view, {"holdings": [holding | {"coin": "another"}]}) == "wrong"
    assert outcome(_read("status"), {"state": "open"}) == "answered"


# --- the master's part


def _result(read: PlannedRead, outcome: str, *, took_s: float = 0.25) -> ReadResult:
    planned = 101.0 + read.offset_us / 1e6
    return ReadResult(
        index=read.index,
        operation=read.operation,
        planned_at=planned,
        sent_at=planned + 0.001,
        done_at=planned + took_s,
        status=200,
        outcome=outcome,
        error="",
        worker="0",
    )


def test_reads_are_counted_apart_from_withdrawals_and_logged_in_a_file_of_their_own(
    tmp_path: Path,
) -> None:
    """However many there are, the flood looks no larger."""
    reads = [
        replace(_read(operation), index=index, offset_us=index * 1_000)
        for index, operation in enumerate(("login", "login", "balances", FOLLOW_READ))
    ]
    coordinator = Coordinator(
        arrivals=[arrival(0)],
        reads=reads,
        api="http://venue:80",
        plan={"knobs": {"calm_ms": 0, "flood_ms": 1_000}},
        out=tmp_path,
        progress=None,
    )
    coordinator.start({"a": 0}, now=100.0)
    request = RequestResult(
        index=0,
        planned_at=101.0,
        sent_at=101.0,
        done_at=101.1,
        status=202,
        outcome="accepted",
        error="",
        worker="0",
    )
    coordinator.add_report(
        "a",
        {
            "rows": [request.to_row()],
            "missed": [],
            "reads": [
                _result(reads[0], "answered").to_row(),
                _result(reads[2], "wrong", took_s=0.5).to_row(),
            ],
            "reads_missed": [[1, "late"], [3, "not acknowledged"]],
            "done": True,
        },
    )
    coordinator.finish(now=110.0)
    flood = json.loads((tmp_path / "flood.json").read_text())
    with (tmp_path / "reads.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert (flood["run"]["planned"], flood["run"]["sent"], flood["run"]["offered_per_s"]) == (
        1,
        1,
        1,
    )
    assert flood["missed_because"] == {}
    assert flood["reads"]["login"] == {
        "planned": 2,
        "sent": 1,
        "missed": 1,
        "answered": 1,
        "latency_ms": {"p50": 250.0, "p99": 250.0},
    }
    assert flood["reads"]["balances"]["answered"] == 0
    assert "status" not in flood["reads"]
    assert flood["reads_missed_because"] == {"late": 1, "not acknowledged": 1}
    assert flood["api"] == "http://venue:80"
    assert [(row["index"], row["operation"], row["outcome"]) for row in rows] == [
        ("0", "login", "answered"),
        ("2", "balances", "wrong"),
    ]
    assert (tmp_path / "requests.csv").read_text().count("\n") == 2
    assert coordinator.lasts_s == pytest.approx(0.003)


@pytest.mark.parametrize("by_customer", [False, True])
def test_a_read_belongs_to_the_worker_that_sends_its_request(by_customer: bool) -> None:
    """It alone knows whether that was acknowledged, and has the customer's session."""
    arrivals: list[Arrival] = [arrival(index, customer_id=f"c{index % 7}") for index in range(40)]
    reads = [
        replace(_read("status"), index=index, request=index % 40, customer_id=f"c{index % 40 % 7}")
        for index in range(100)
    ]
    found: list[int] = []
    for part in range(3):
        own = own_part(arrivals, by_customer=by_customer, part=part, parts=3)
        mine = own_reads(reads, own)
        assert {read.request for read in mine} <= {each.index for each in own}
        found += [read.index for read in mine]
    assert sorted(found) == list(range(100))
