"""CloudTrail's event history: what `LookupEvents` answers.

AWS keeps the management events of the last 90 days for every account and Region, whether a trail
logs them or not (CloudTrail user guide, "Working with CloudTrail event history"). `LookupEvents`
answers for the Region that is asked, at most 50 events a page, with one lookup attribute at most
and a time range that includes both of its ends; a token counts only for the request that it came
from; beyond two requests a second, per account and Region, it throttles
(https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html). The latest
event comes first (AWS CLI reference, `lookup-events`). An event's time is when the request was
completed, in whole seconds (CloudTrail user guide, "CloudTrail record contents", eventTime, and the
examples there). AWS delivers "within an average of about 5 minutes", promises no time (same guide,
"Getting and viewing your CloudTrail log files"), and in no order ("CloudTrail concepts").

Here an event takes seconds, each its own time, so that later ones may be there before earlier ones.
moto has no such operation, and records nothing. What is recorded here are uses of KMS
(``cloudtrail``), the newest :data:`KEPT` of each account and Region.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from calendar import timegm
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError

from localaws.emulator.quota import RequestQuota

PAGE_MAX = 50
LOOKUPS_PER_S = 2
LATE_S = (1.0, 2.5)
"""An event can be looked up so many seconds after its request was completed; AWS takes minutes."""
KEPT = 10_000
"""Events of an account and Region that are remembered: some ten megabytes, a flood's worth."""

_LOOKUPS = RequestQuota()


def install() -> None:
    """Add `LookupEvents`."""
    _LOOKUPS.set(LOOKUPS_PER_S)
    response: Any = CloudTrailResponse
    response.lookup_events = _lookup_events


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """An event with its number, its whole second, and from when on it can be looked up."""

    number: int
    at_s: int
    visible_at: float
    name: str
    text: str

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands: events are sorted by their second, and within it by their number."""
        return self.at_s, self.number


class History:
    """The newest events of each account and Region; safe to share between threads.

    Args:
        clock: Unix seconds.
        late_s: How late an event can be looked up; drawn from :data:`LATE_S` if left out.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, late_s: Callable[[], float] | None = None
    ) -> None:
        # no secret: only how late an event is
        drawn = Random(0)
        self._clock = clock
        self._late_s = late_s or partial(drawn.uniform, *LATE_S)
        self._lock = threading.Lock()
        self._numbers = 0
        self._events: dict[tuple[str, str], deque[Recorded]] = defaultdict(
            lambda: deque(maxlen=KEPT)
        )

    def add(self, record: Mapping[str, Any], *, account: str, region: str) -> None:
        """Remember ``record``, a request that was completed just now."""
        text = json.dumps(record, separators=(",", ":"))
        with self._lock:
            self._numbers += 1
            self._events[account, region].append(
                Recorded(
                    number=self._numbers,
                    at_s=_seconds(record),
                    visible_at=self._clock() + self._late_s(),
                    name=str(record["eventName"]),
                    text=text,
                )
            )

    def visible(self, account: str, region: str) -> list[Recorded]:
        """What can be looked up now, the latest first."""
        now = self._clock()
        with self._lock:
            known = list(self._events[account, region])
        return sorted(
            (each for each in known if each.visible_at <= now),
            key=lambda each: each.place,
            reverse=True,
        )


HISTORY = History()
"""The event history of this process's accounts."""


def found(event: Mapping[str, Any], key: str, value: str) -> bool:
    """Whether the record ``event`` has this lookup attribute.

    Raises JsonRESTError for an attribute that `LookupEvents` does not know.
    """
    identity: Mapping[str, Any] = event["userIdentity"]
    resources = event.get("resources", ())
    known: dict[str, Callable[[], list[Any]]] = {
        "AccessKeyId": lambda: [identity.get("accessKeyId")],
        "EventId": lambda: [event["eventID"]],
        "EventName": lambda: [event["eventName"]],
        "EventSource": lambda: [event["eventSource"]],
        "ReadOnly": lambda: [str(event["readOnly"]).lower()],
        "ResourceName": lambda: [each["ARN"] for each in resources],
        "ResourceType": lambda: [each["type"] for each in resources],
        "Username": lambda: [username(identity)],
    }
    if key not in known:
        raise JsonRESTError("InvalidLookupAttributesException", f"{key} is no lookup attribute.")
    return value in known[key]()


def username(identity: Mapping[str, Any]) -> str:
    """Who called, as an event's list shows it: the user, or the session's name of a role."""
    return str(identity.get("userName") or str(identity.get("arn", "")).rpartition("/")[2])


def _lookup_events(self: Any) -> str:
    account, region = self.current_account, self.region
    if not _LOOKUPS.take(account, region):
        raise JsonRESTError("ThrottlingException", "Rate exceeded")
    size = _page_size(self._get_param("MaxResults"))
    starts, ends = self._get_param("StartTime"), self._get_param("EndTime")
    if starts is not None and ends is not None and starts > ends:
        raise JsonRESTError("InvalidTimeRangeException", "The start is after the end.")
    attributes = self._get_param("LookupAttributes") or []
    if len(attributes) > 1:
        raise JsonRESTError(
            "InvalidLookupAttributesException", "Only one lookup attribute is allowed."
        )
    asked = hashlib.sha256(repr((region, starts, ends, attributes)).encode()).hexdigest()[:16]
    before = _place_in(self._get_param("NextToken"), asked)
    wanted = [(str(each["AttributeKey"]), str(each["AttributeValue"])) for each in attributes]
    # The only category that can be asked for is that of insights, of which there are none.
    known = [] if self._get_param("EventCategory") else HISTORY.visible(account, region)
    matching = [
        each
        for each in known
        if (starts is None or each.at_s >= starts)
        and (ends is None or each.at_s <= ends)
        and (before is None or each.place < before)
        and all(_has(each, *attribute) for attribute in wanted)
    ]
    answer: dict[str, Any] = {"Events": [_event(json.loads(each.text)) for each in matching[:size]]}
    if len(matching) > size:
        at_s, number = matching[size - 1].place
        answer["NextToken"] = base64.b64encode(f"{asked}:{at_s}:{number}".encode()).decode()
    return json.dumps(answer)


def _has(recorded: Recorded, key: str, value: str) -> bool:
    if key == "EventName":  # without reading each record
        return recorded.name == value
    return found(json.loads(recorded.text), key, value)


def _page_size(given: Any) -> int:
    size = PAGE_MAX if given is None else int(given)
    if not 1 <= size <= PAGE_MAX:
        raise JsonRESTError("InvalidMaxResultsException", f"MaxResults is 1 to {PAGE_MAX}.")
    return size


def _place_in(token: str | None, asked: str) -> tuple[int, int] | None:
    """Where the page before ended; None for the first page."""
    if token is None:
        return None
    try:
        request, at_s, number = base64.b64decode(token, validate=True).decode().split(":")
        place = int(at_s), int(number)
    except ValueError as error:
        raise JsonRESTError("InvalidNextTokenException", "The token is not valid.") from error
    if request != asked:
        raise JsonRESTError("InvalidNextTokenException", "The token was given for another request.")
    return place


def _event(record: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the answer (CloudTrail API reference, Event)."""
    identity = record["userIdentity"]
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "AccessKeyId": identity.get("accessKeyId", ""),
        "EventTime": _seconds(record),
        "EventSource": record["eventSource"],
        "Username": username(identity),
        "Resources": [
            {"ResourceType": each["type"], "ResourceName": each["ARN"]}
            for each in record.get("resources", ())
        ],
        "CloudTrailEvent": json.dumps(record),
    }


def _seconds(record: Mapping[str, Any]) -> int:
    """The event's time in whole Unix seconds."""
    return timegm(time.strptime(str(record["eventTime"]), "%Y-%m-%dT%H:%M:%SZ"))
