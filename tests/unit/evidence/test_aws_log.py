"""AWS's own log is read until it is complete, as far as can be known, or its bound has passed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.errors import EvidenceError, UsageError
from seawall.evidence import aws_log as module
from seawall.evidence.aws_log import (
    AwsLogReading,
    Line,
    RegionLog,
    lines_of,
    looking_up,
    principal_of,
    written,
)
from seawall.formats.deployment import AwsLog
from seawall.policy_file import load_policy
from seawall.scorecard.readers import instant, read_table
from seawall.scorecard.rows import SignCall
from tests.testing.deployments import make_deployment

HERE, KEY = "us-east-1", "mrk-1"
WALLETS = {KEY: ("customer-aster-hot", "0xab")}
ROLE = "seawall-harbour-signer-customer-aster-hot-us-east-1"
SESSION = {
    "type": "AssumedRole",
    "arn": f"arn:aws:sts::1:assumed-role/{ROLE}/signer-us-east-1",
    "sessionContext": {"sessionIssuer": {"type": "Role", "userName": ROLE}},
}
WAITING = AwsLog(within_s=60, settled_s=5)
DRILL_S = 100
PAGE = 2


def record(at: float, **changes: Any) -> dict[str, Any]:
    """A signature as CloudTrail writes it."""
    return {
        "eventID": f"at-{at}",
        "eventName": "Sign",
        "eventTime": datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "awsRegion": HERE,
        "userIdentity": SESSION,
        "resources": [{"type": "AWS::KMS::Key", "ARN": f"arn:aws:kms:{HERE}:1:key/{KEY}"}],
    } | changes


@dataclass
class CloudTrail:
    """A Region's event history in which each event is seen so much later than it happened."""

    now: float = DRILL_S + 0.3
    events: list[tuple[float, float]] = field(default_factory=list)
    marked_late_s: float | None = 3.0
    asked: int = 0
    lines: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def mark(self) -> None:
        """A probe of the signer is signed now."""
        if self.marked_late_s is not None:
            self.events.append((self.now, self.marked_late_s))

    def look_up(self, starts: float, ends: float | None, token: str | None) -> dict[str, Any]:
        """A page, the latest first."""
        self.asked += 1
        seen = sorted(
            (
                at
                for at, late in self.events
                if at + late <= self.now and starts <= int(at) <= (ends or self.now)
            ),
            reverse=True,
        )
        offset = int(token or 0)
        page = [
            {"EventId": f"at-{at}", "CloudTrailEvent": json.dumps(record(at))}
            for at in seen[offset : offset + PAGE]
        ]
        more = {"NextToken": str(offset + PAGE)} if len(seen) > offset + PAGE else {}
        return {"Events": page, **more}

    def log(self) -> RegionLog:
        """The kit's reader of it, from the epoch on."""
        return RegionLog(
            region=HERE,
            starts=0,
            look_up=self.look_up,
            mark=self.mark,
            clock=lambda: self.now,
            report=self.lines.append,
        )

    def read(
        self, *, waiting: AwsLog | None = WAITING, log: RegionLog | None = None
    ) -> list[float]:
        """The seconds of the events that were read."""
        found = (log or self.log()).read(waiting, self.sleep)
        return sorted(float(str(each["eventID"]).removeprefix("at-")) for each in found)

    def follow(self, log: RegionLog) -> None:
        """Read it beside a drill that goes on from the epoch to its end."""
        self.now = 0.3

        def sleep(seconds: float) -> None:
            if self.now + seconds > DRILL_S:
                self.now = DRILL_S + 0.3
                raise EvidenceError("the drill is over")
            self.now += seconds

        with pytest.raises(EvidenceError, match="is over"):
            log.follow(sleep)


def test_the_log_is_read_page_by_page_once_an_event_of_after_the_drill_is_there() -> None:
    trail = CloudTrail(events=[(float(at), 3.0) for at in range(90, 100)])

    assert trail.read() == [*map(float, range(90, 100)), 101.0]
    assert trail.now < DRILL_S + 30
    assert trail.lines == []


def test_an_event_that_comes_later_than_later_ones_is_read_as_well() -> None:
    """The reading is repeated until it finds nothing new."""
    trail = CloudTrail(events=[(98.0, 3.0), (99.0, 9.5)])

    assert trail.read() == [98.0, 99.0, 101.0]


def test_an_event_of_the_second_in_which_the_drill_ended_says_nothing_about_its_end() -> None:
    trail = CloudTrail(events=[(100.2, 0.0)], marked_late_s=30.0)

    trail.read()

    assert trail.now > DRILL_S + 30


def test_a_region_that_goes_on_signing_is_waited_for_no_longer() -> None:
    """What comes after the drill says nothing of it."""
    trail = CloudTrail(events=[(98.0, 1.0), *((102.0 + n, 0.0) for n in range(300))])

    found = trail.read()

    assert found[0] == 98.0
    assert trail.now < DRILL_S + 30


def test_without_an_event_of_after_the_drill_the_log_is_no_evidence_at_its_bound() -> None:
    trail = CloudTrail(events=[(98.0, 3.0)], marked_late_s=None)

    with pytest.raises(EvidenceError, match=f"log of {HERE} was not complete within 60 s"):
        trail.read()
    assert DRILL_S + WAITING.within_s <= trail.now < DRILL_S + WAITING.within_s + 5
    assert trail.lines[0] == f"waiting for AWS's own log of {HERE}: 16 s of at most 60 s"


def test_nor_is_one_that_grows_until_its_bound() -> None:
    """The next event of the drill may be the one that tells the truth."""
    trail = CloudTrail(events=[(50.0 + n / 10, 50.0 + n * 3) for n in range(30)])

    with pytest.raises(EvidenceError, match="not complete"):
        trail.read()
    assert trail.now < DRILL_S + WAITING.within_s + 15


def test_of_a_drill_that_broke_only_what_is_there_is_read() -> None:
    trail = CloudTrail(events=[(98.0, 1.0), (99.0, 10.0)])

    assert trail.read(waiting=None) == [98.0]
    assert trail.asked == 1


def test_what_was_read_during_the_drill_is_read_once_more_and_not_twice() -> None:
    busy = [(float(at) + 0.5, 3.0) for at in range(0, DRILL_S, 2)]
    at_once, followed = CloudTrail(events=busy.copy()), CloudTrail(events=busy.copy())
    found = at_once.read()

    log = followed.log()
    followed.follow(log)
    asked = followed.asked
    assert followed.read(log=log) == found

    assert len(found) == DRILL_S / 2 + 1
    assert followed.asked - asked < at_once.asked * 0.7


@pytest.mark.parametrize("late_s", [12.0, 40.0, 92.0])
def test_an_event_that_came_after_its_piece_was_read_is_found_by_the_reading_of_everything(
    late_s: float,
) -> None:
    """However much later than the others it is: a piece that was read proves nothing by itself."""
    late = (12.0, late_s)
    trail = CloudTrail(events=[*((float(at) + 0.5, 3.0) for at in range(0, 40, 2)), late])
    log = trail.log()
    trail.follow(log)

    assert trail.read(log=log).count(12.0) == 1


def test_a_piece_without_a_later_event_is_read_after_the_drill() -> None:
    """Nobody knows that all of a piece is there before something of after it is."""
    trail = CloudTrail(events=[(5.0, 3.0)])
    log = trail.log()
    trail.follow(log)
    polls = trail.asked

    assert polls < DRILL_S / 3
    assert trail.read(log=log) == [5.0, 101.0]


def test_of_a_drill_that_broke_what_was_read_beside_it_is_kept() -> None:
    trail = CloudTrail(events=[(float(at), 3.0) for at in range(DRILL_S - 1)])
    log = trail.log()
    trail.follow(log)

    assert trail.read(waiting=None, log=log) == [float(at) for at in range(98)]


def test_a_record_becomes_a_row_that_the_judge_reads(tmp_path: Path) -> None:
    denied = record(8, errorCode="AccessDenied", requestParameters=None)
    records = [record(9), denied, record(7, resources=[], requestParameters={"keyId": "x"})]

    found = list(lines_of(records, region=HERE, wallet_of=WALLETS))
    path = tmp_path / "sign_calls.csv"
    path.write_text(written(found), encoding="utf-8")

    assert [line.key for line in found] == ["x", KEY, KEY]
    assert read_table(path, SignCall) == (
        SignCall(
            event_id="at-7",
            region=HERE,
            at=instant(7),
            wallet=None,
            address=None,
            principal=ROLE,
            error=None,
        ),
        SignCall(
            event_id="at-8",
            region=HERE,
            at=instant(8),
            wallet="customer-aster-hot",
            address="0xab",
            principal=ROLE,
            error="AccessDenied",
        ),
        SignCall(
            event_id="at-9",
            region=HERE,
            at=instant(9),
            wallet="customer-aster-hot",
            address="0xab",
            principal=ROLE,
            error=None,
        ),
    )


def test_a_log_without_a_signature_is_a_header() -> None:
    assert written([]) == "event_id,region,at,wallet,address,principal,error,key\n"
    assert Line.__dataclass_fields__.keys() >= SignCall.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"eventTime": "yesterday"}, "cannot be read"),
        ({"awsRegion": "us-west-2"}, r"answered in us-east-1 with an event of us-west-2"),
        ({"eventName": "Verify"}, "answered in us-east-1"),
    ],
)
def test_a_record_of_something_else_is_no_evidence(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(EvidenceError, match=complaint):
        list(lines_of([record(9, **changes)], region=HERE, wallet_of=WALLETS))


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (SESSION, ROLE),
        ({"type": "IAMUser", "userName": "alice"}, "user/alice"),
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "arn:aws:iam::1:root"),
        (
            {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"},
            "cloudtrail.amazonaws.com",
        ),
    ],
)
def test_who_asked_is_named_by_role_or_user(identity: dict[str, Any], name: str) -> None:
    assert principal_of(identity) == name


def test_signatures_alone_are_asked_for_from_a_whole_second_on() -> None:
    asked: list[dict[str, Any]] = []

    class Client:
        """A client that remembers."""

        def lookup_events(self, **parameters: Any) -> dict[str, Any]:
            """Nothing."""
            asked.append(parameters)
            return {"Events": []}

    client: Any = Client()
    looking_up(client)(9.7, None, None)
    looking_up(client)(9.7, 20.9, "next")

    same = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Sign"}],
        "StartTime": datetime.fromtimestamp(9, UTC),
    }
    ends = {"EndTime": datetime.fromtimestamp(20, UTC)}
    assert asked == [same, same | ends | {"NextToken": "next"}]


def test_the_outputs_must_say_which_key_is_of_which_wallet(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text("{}", encoding="utf-8")
    deployment = make_deployment(tmp_path, outputs=str(outputs), aws_log=WAITING.model_dump())

    with pytest.raises(EvidenceError, match="names no keys of wallets"):
        AwsLogReading(deployment, load_policy(deployment.policy), started_at=0, report=print)


def _session_in(account: str) -> Any:
    """A session of the audit role in ``account``."""
    sts = SimpleNamespace(get_caller_identity=lambda: {"Account": account})
    return SimpleNamespace(client=lambda *_, **__: sts)


def test_the_log_of_another_account_is_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing signs there with the stack's keys, so nothing strange would be seen."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text('{"signers": {}}', encoding="utf-8")
    deployment = make_deployment(tmp_path, outputs=str(outputs), aws_log=WAITING.model_dump())
    monkeypatch.setattr(RegionLog, "follow", lambda *_: pytest.fail("it is read"))
    monkeypatch.setattr(module, "session_of_profile", lambda *_: _session_in("210987654321"))
    with pytest.raises(UsageError, match="is of account 210987654321"):
        AwsLogReading(
            deployment, load_policy(deployment.policy), started_at=0, report=lambda _line: None
        )


def test_the_reading_of_the_next_drill_waits_for_that_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would share the two requests a second that a Region answers."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text('{"signers": {}}', encoding="utf-8")
    deployment = make_deployment(tmp_path, outputs=str(outputs), aws_log=WAITING.model_dump())
    policy = load_policy(deployment.policy)
    began: list[str] = []
    monkeypatch.setattr(RegionLog, "follow", lambda log, _: began.append(log.region))
    monkeypatch.setattr(RegionLog, "read", lambda *_: [])
    session = _session_in(ACCOUNT_ID)
    monkeypatch.setattr(module, "session_of_profile", lambda *_: session)
    first = AwsLogReading(deployment, policy, started_at=0, report=print)
    first.stop()
    regions = sorted(began)

    second = AwsLogReading(deployment, policy, started_at=1, report=print, after=first)
    assert sorted(began) == regions
    first.finish(wait=True, into=tmp_path)
    for thread in second.following:
        thread.join(10)
    assert sorted(began) == sorted([*regions, *regions])

    third = AwsLogReading(deployment, policy, started_at=1, report=print, after=second)
    third.abandon()
    assert sorted(began) == sorted([*regions, *regions])
    assert not any(thread.is_alive() for thread in third.following)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"aws_log": {"within_s": 60, "settled_s": 5}}, "aws_log needs outputs"),
        ({"aws_log": {"within_s": 5, "settled_s": 5}, "outputs": "o"}, "shorter than within_s"),
        ({"aws_log": {"within_s": 0, "settled_s": 5}, "outputs": "o"}, "greater than 0"),
        ({"aws_log": {"settled_s": 5}, "outputs": "o"}, "Field required"),
    ],
)
def test_a_deployment_says_for_how_long_the_log_is_waited_for(
    fields: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        make_deployment(tmp_path, **fields)
