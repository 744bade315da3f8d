"""AWS's own log of signatures, which the stack's audit role looks up after a drill.

CloudTrail keeps every `Sign` of the last 90 days in each Region's event history. It is late ("about
5 minutes" on average, not guaranteed: CloudTrail user guide, "Getting and viewing your CloudTrail
log files"), in no order ("CloudTrail concepts"), and answers two requests a second for an account
and Region (CloudTrail API reference, LookupEvents). So it is waited for, in both Regions side by
side, until

1. an event of after the drill is there, which the Region's signer makes by its own probe, and
2. two readings find the same, with a pause between them in which late events may arrive,

or until the deployment's bound has passed: then it is no evidence, because events come in no order,
and any of them may be missing.

The first of these readings begins with the drill: it is read in pieces, each once an event of after
it is there. So little is left of it at the end, and the second one, of everything, comes sooner.
"""

from __future__ import annotations

import csv
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seawall.accounts import require_profile
from seawall.aws import session_of_profile
from seawall.conventions import signing
from seawall.errors import EvidenceError
from seawall.formats.atomic import write_whole
from seawall.formats.deployment import AwsLog, Deployment
from seawall.keys import access
from seawall.policy import Policy
from seawall.scorecard.run import FILES

SIGN = "Sign"
_PAUSE_S = 0.6
"""Between two requests to a Region, which answers two a second."""
_BEFORE_S = 5
"""The reading begins so long before the drill, because clocks differ."""
_PIECE_S = 15.0
"""At least so much of the log is read at once during a drill."""
_FOLLOWED_EVERY_S = 3.0
"""How often it is asked, during a drill, whether a later event is there."""
_TOLD_EVERY_S = 15.0
_AFTER_EVERY_S = 0.5
_PROBE_S_MAX = 5.0
_STOPPED_S_MAX = 2.0
"""For a question that is under way at the end of a drill; one that takes longer is left behind."""
_PATIENT = Config(
    connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5}
)
"""Whoever else looks up events in the account uses the same quota."""

Page = Mapping[str, Any]
LookUp = Callable[[float, float | None, str | None], Page]
"""One page of signatures from a moment to another, in whole Unix seconds and both inclusive.

None is no end. The token is that of the page before.
"""
WalletOf = Mapping[str, tuple[str, str]]
"""Wallet and address by key id, which is the same in both Regions."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of ``aws/sign_calls.csv``; see :class:`seawall.scorecard.rows.SignCall`."""

    event_id: str
    region: str
    at: int
    wallet: str
    address: str
    principal: str
    error: str
    key: str


Sleep = Callable[[float], object]
"""Wait so many seconds; raises to end what waits."""


@dataclass(kw_only=True)
class RegionLog:
    """The event history of one Region, from the beginning of a drill on; used once.

    Attributes:
        region: Its name.
        starts: Beginning of the reading in Unix seconds.
        look_up: Asks for a page.
        mark: Has the Region's signer sign once, so that an event of after the drill is to come.
        clock: Unix seconds.
        report: Gets lines for people.
    """

    region: str
    starts: float
    look_up: LookUp
    mark: Callable[[], None]
    clock: Callable[[], float]
    report: Callable[[str], None]
    _known: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _known_until: float = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        self._known_until = self.starts

    def follow(self, sleep: Sleep) -> None:
        """Read once, piece by piece, while the drill goes on, until ``sleep`` raises.

        An event that comes later than others of its piece is found by the reading of everything
        after the drill, which must find the same.
        """
        while True:
            sleep(max(_FOLLOWED_EVERY_S, self._known_until + _PIECE_S - self.clock()))
            ends = float(math.floor(self.clock()))
            while not self.look_up(ends, None, None)["Events"]:
                sleep(_FOLLOWED_EVERY_S)
            found = self._all(self._known_until, ends - 1, sleep)
            sleep(0.0)  # what comes after the end is not written beside those who read then
            self._known |= found
            self._known_until = ends

    def read(self, waiting: AwsLog | None, sleep: Sleep) -> list[Mapping[str, Any]]:
        """The records of all signatures, after the drill.

        Args:
            waiting: How long the log is waited for; None reads what is there.
            sleep: Waits.

        Raises :class:`EvidenceError` if it was not complete within the bound.
        """
        if waiting is None:
            return [*(self._known | self._all(self._known_until, None, sleep)).values()]
        # Whole seconds: an event of the second in which the drill ended may be of before its end.
        ends = float(math.ceil(self.clock()))
        deadline = ends + waiting.within_s
        sleep(max(0.0, ends - self.clock()))
        self.mark()
        told = self.clock()
        while not (after := _records(self.look_up(ends, None, None))):
            if self.clock() >= deadline:
                raise self._late(waiting.within_s)
            if self.clock() - told >= _TOLD_EVERY_S:
                told = self.clock()
                self.report(
                    f"waiting for AWS's own log of {self.region}: {told - ends:.0f} s of at most"
                    f" {waiting.within_s:g} s"
                )
            sleep(_PAUSE_S)
        # Later events are still coming in, from a venue that goes on, and say nothing of the drill.
        began = self.clock()
        known = self._known | self._all(self._known_until, ends - 1, sleep)
        while True:
            # From page to page both readings are as far apart as from beginning to beginning.
            pause_s = max(0.0, began + waiting.settled_s - self.clock())
            if self.clock() + pause_s > deadline:
                raise self._late(waiting.within_s)
            sleep(pause_s)
            began, again = self.clock(), self._all(self.starts, ends - 1, sleep)
            if again.keys() == known.keys():
                # Of what came after, only what shows that the log goes so far: it is no part of
                # the drill, and may be of the next one.
                first = min(after, key=lambda event: str(after[event]["eventTime"]))
                return [*(again | {first: after[first]}).values()]
            known = again

    def _late(self, within_s: float) -> EvidenceError:
        return EvidenceError(
            f"AWS's own log of {self.region} was not complete within {within_s:g} s"
        )

    def _all(self, starts: float, ends: float | None, sleep: Sleep) -> dict[str, Mapping[str, Any]]:
        """Every page by event; one that moved to the next page meanwhile counts once."""
        found: dict[str, Mapping[str, Any]] = {}
        if ends is not None and ends < starts:
            return found  # all of it is read; AWS refuses an end before the start
        token: str | None = None
        while True:
            sleep(_PAUSE_S)
            page = self.look_up(starts, ends, token)
            found |= _records(page)
            token = page.get("NextToken")
            if token is None:
                return found


def _records(page: Page) -> dict[str, Mapping[str, Any]]:
    """What CloudTrail recorded of each event of a page."""
    return {str(event["EventId"]): json.loads(event["CloudTrailEvent"]) for event in page["Events"]}


class AwsLogReading:
    """The reading of both Regions' logs: it begins with a drill, and ends after it.

    Args:
        deployment: Says how long the log is waited for, and where the stack's outputs are.
        policy: Names the Regions and the role that looks up.
        started_at: Beginning of the drill in Unix seconds.
        report: Gets lines for people.
        after: The reading of the drill before, if it may go on still. Both share the quota of a
            Region, so this one waits for its end.

    ``finished`` is set once nothing of it is read any more; ``following`` are the threads that read
    beside the drill.

    Raises :class:`EvidenceError` if the stack's outputs cannot be read, and :class:`UsageError` if
    the role is of another account than the stack: its log would show nothing that signs here.
    """

    def __init__(
        self,
        deployment: Deployment,
        policy: Policy,
        *,
        started_at: float,
        report: Callable[[str], None],
        after: AwsLogReading | None = None,
    ) -> None:
        if deployment.aws_log is None:
            raise EvidenceError(f"{deployment.path} names no aws_log")
        self._waiting = deployment.aws_log
        self._wallet_of = _wallets(deployment)
        profile = access.audit(policy).name
        session = session_of_profile(profile, deployment.principals)
        require_profile(session, profile, deployment, policy)
        self._logs = [
            RegionLog(
                region=region,
                starts=started_at - _BEFORE_S,
                look_up=looking_up(
                    session.client("cloudtrail", region_name=region, config=_PATIENT)
                ),
                mark=partial(_mark, deployment, region, report),
                clock=time.time,
                report=report,
            )
            for region in access.regions(policy)
        ]
        self._over, self._abandoned = threading.Event(), threading.Event()
        self.finished = threading.Event()
        self._after = None if after is None else after.finished
        self.following = [
            threading.Thread(
                target=self._follow, args=(log,), name=f"aws-log-{log.region}", daemon=True
            )
            for log in self._logs
        ]
        for thread in self.following:
            thread.start()

    def _follow(self, log: RegionLog) -> None:
        """Read a Region's log until the drill is over.

        What could not be read by then is read afterwards, when it is missed if it fails again.
        """
        while self._after is not None and not self._after.wait(_AFTER_EVERY_S):
            if self._over.is_set():
                return
        with suppress(EvidenceError, BotoCoreError, ClientError):
            log.follow(partial(_sleep, self._over))

    def stop(self) -> None:
        """End the reading that goes on beside the drill, within seconds; idempotent."""
        self._over.set()
        for thread in self.following:
            thread.join(_STOPPED_S_MAX)

    def abandon(self) -> None:
        """End it at once, also :meth:`finish` in another thread, which then raises; idempotent."""
        self._abandoned.set()
        self.stop()

    def finish(self, *, wait: bool, into: Path) -> None:
        """Read the rest, and write who signed with which key in both Regions.

        Args:
            wait: Whether the log is waited for at all; of a drill that broke it is not.
            into: The run directory.

        Raises :class:`EvidenceError` if the log was not complete within the bound, and botocore's
        errors.
        """
        self.stop()
        waiting = self._waiting if wait else None
        lines, stopped = list[Line](), self._abandoned
        try:
            with ThreadPoolExecutor(len(self._logs), thread_name_prefix="aws-log") as pool:
                try:
                    reading = [
                        pool.submit(log.read, waiting, partial(_sleep, stopped))
                        for log in self._logs
                    ]
                    for log, found in zip(self._logs, reading, strict=True):
                        lines += lines_of(
                            found.result(), region=log.region, wallet_of=self._wallet_of
                        )
                finally:
                    stopped.set()  # else the pool would wait for what nobody needs any more
        finally:
            self.finished.set()
        path = into / FILES["sign_calls"]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, written(lines))


def looking_up(client: Any) -> LookUp:
    """Ask ``client``, boto3's of CloudTrail, for the signatures of its Region."""

    def look_up(starts: float, ends: float | None, token: str | None) -> Page:
        more: dict[str, Any] = {} if token is None else {"NextToken": token}
        if ends is not None:
            more["EndTime"] = datetime.fromtimestamp(math.floor(ends), UTC)
        page: Page = client.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": SIGN}],
            StartTime=datetime.fromtimestamp(math.floor(starts), UTC),
            **more,
        )
        return page

    return look_up


def lines_of(
    records: Sequence[Mapping[str, Any]], *, region: str, wallet_of: WalletOf
) -> Iterator[Line]:
    """The lines of a Region's records, in order of time.

    Raises :class:`EvidenceError` for a record that is none of a signature in ``region``.
    """
    found = []
    for record in records:
        try:
            key = _key_of(record)
            wallet, address = wallet_of.get(key, ("", ""))
            line = Line(
                event_id=str(record["eventID"]),
                region=str(record["awsRegion"]),
                at=round(datetime.fromisoformat(str(record["eventTime"])).timestamp()),
                wallet=wallet,
                address=address,
                principal=principal_of(record["userIdentity"]),
                error=str(record.get("errorCode") or ""),
                key=key,
            )
        except (KeyError, ValueError) as error:
            raise EvidenceError(
                f"CloudTrail has a record in {region} that cannot be read: {error!r}"
            ) from error
        if line.region != region or record.get("eventName") != SIGN:
            raise EvidenceError(f"CloudTrail answered in {region} with an event of {line.region}")
        found.append(line)
    return iter(sorted(found, key=lambda line: line.at))


def principal_of(identity: Mapping[str, Any]) -> str:
    """Who asked: the name of the role of a session, ``user/NAME`` of a user, else what is known.

    CloudTrail user guide, "CloudTrail userIdentity element".
    """
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    if identity.get("type") == "AssumedRole" and issuer.get("userName"):
        return str(issuer["userName"])
    if identity.get("type") == "IAMUser":
        return f"user/{identity.get('userName')}"
    return str(identity.get("invokedBy") or identity.get("arn") or identity.get("type"))


def written(lines: Sequence[Line]) -> str:
    """The file: a header, and a line for each signature."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [each.name for each in fields(Line)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    return text.getvalue()


def _key_of(record: Mapping[str, Any]) -> str:
    """The id of the key; empty if the record names none, as that of a denied call may."""
    arns = [
        str(each["ARN"])
        for each in record.get("resources") or ()
        if each.get("type") == "AWS::KMS::Key"
    ]
    named = arns or [str((record.get("requestParameters") or {}).get("keyId", ""))]
    return named[0].rpartition("/")[2]


def _wallets(deployment: Deployment) -> WalletOf:
    """Which wallet each key is of, by the stack's outputs."""
    if deployment.outputs is None:
        raise EvidenceError(f"{deployment.path} names no outputs of the stack")
    try:
        signers = json.loads(deployment.outputs.read_text(encoding="utf-8"))["signers"]
        return {
            str(entry["key_id"]): (wallet, str(entry["address"]).lower())
            for wallet, entry in signers.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{deployment.outputs} names no keys of wallets: {error!r}") from error


def _mark(deployment: Deployment, region: str, report: Callable[[str], None]) -> None:
    """Have the signer of ``region`` sign its probe; without one, any later signature must do."""
    signer = deployment.signers.get(region)
    if signer is None:
        return
    try:
        answer = httpx.post(
            f"{signer.url.rstrip('/')}{signing.PROBE_PATH}",
            headers=signer.headers("prober"),
            timeout=_PROBE_S_MAX,
            trust_env=False,
        )
        result = signing.probe_result(answer.status_code, answer.text)
    except httpx.HTTPError as error:
        result = f"{type(error).__name__} {error}"
    if result != signing.ANSWERED:
        report(f"the signer of {region} did not sign a probe after the drill: {result}")


def _sleep(stopped: threading.Event, seconds: float) -> None:
    """Wait; raises :class:`EvidenceError` if nobody needs the log any more."""
    if stopped.wait(seconds):
        raise EvidenceError("the reading of AWS's own log was interrupted")
