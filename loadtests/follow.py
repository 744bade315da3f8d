"""Ask a venue, after a flood, what became of every withdrawal that it acknowledged.

    python -m loadtests.follow --deployment FILE --run DIR --within-s 60

In: the deployment file; ``arrivals.csv``, ``requests.csv`` and ``probes.jsonl`` of the run. Out:
``followed.csv`` in the run, whole or not at all, and a JSON line a second on stdout. What is not
final is asked for again until it is, or until the time has passed. While stdin is open the prober
goes on asking for withdrawals; what it was promised is read once stdin is closed, and the time
counts from then on. Exit code 0 means that each was asked at least once; what the answers are worth
is judged later.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Pool

from loadtests.arrivals import read_arrivals
from loadtests.population import read_credentials
from loadtests.results import ACKNOWLEDGED
from loadtests.venue import UNAUTHORIZED, Sessions, Venue
from seawall.errors import ExitCode, SeawallError, ServiceError, UsageError
from seawall.formats.atomic import write_whole
from seawall.formats.deployment import load_deployment
from seawall.formats.documents import read_json
from seawall.formats.drill_contract import FOLLOW, Credentials, Refusal, Withdrawal, load_adapter
from seawall.processes.parent import end_with_runner

FOLLOWED = "followed.csv"
PROBES = ("small_withdrawal", "large_transfer")
FINAL = frozenset({"posted", "voided"})
LOST, UNANSWERED = "lost", "unanswered"
"""The venue says that there is no such withdrawal; it never said anything that is understood."""
AT_ONCE = 64
"""Requests in flight: enough for thousands a second, and no second flood."""
ROUND_S_MIN = 0.5
"""From the start of one round of questions to that of the next."""
ANSWER_S_MAX = 5.0
PROGRESS_EVERY_S = 1.0
ASKED_PER_S_MIN = 100
"""Each is asked for once, whatever time that takes at this rate: a venue that is far away, or a
machine that is busy, is no reason to leave a customer's request out.
"""


@dataclass(kw_only=True)
class Followed:
    """A withdrawal that was acknowledged, and what the venue says of it: a line of the result.

    Attributes:
        id: The client's.
        venue_id: The venue's own name of it; empty if it gave none.
        customer_id: Who asked for it.
        network: Where it is paid.
        asset: What is paid.
        amount: In base units.
        destination: The address to be paid.
        state: The final state, else the last that was seen, else `lost` or `unanswered`.
        reason: Why, in the venue's words; why there is no answer, in ours.
        tx_hash: Of its payment, if the venue says it.
        seq: Its number in the payout contract, if the venue says it.
        asked_at: When the last answer that is understood was asked for, in Unix seconds; without
            one, when it was last asked for.
        polls: How often.
    """

    id: str
    venue_id: str
    customer_id: str
    network: str
    asset: str
    amount: str
    destination: str
    state: str = UNANSWERED
    reason: str = ""
    tx_hash: str = ""
    seq: str = ""
    asked_at: str = ""
    polls: int = 0


COLUMNS = tuple(field.name for field in fields(Followed))


def acknowledged(run: Path) -> list[Followed]:
    """Every withdrawal that was acknowledged to the flood or the prober of ``run``, once by id.

    Raises :class:`UsageError` for evidence that is missing or malformed.
    """
    return _once_by_id((*_of_flood(run), *_of_prober(run / "probes.jsonl")))


def _once_by_id(all_of_them: Iterable[Followed]) -> list[Followed]:
    found: dict[str, Followed] = {}
    for each in all_of_them:
        known = found.setdefault(each.id, each)
        # Of two answers to one id, one may lack the venue's own.
        known.venue_id = known.venue_id or each.venue_id
    return list(found.values())


def _of_flood(run: Path) -> Iterator[Followed]:
    """What was acknowledged to the flood, once for each answer; raises :class:`UsageError`."""
    arrivals = {arrival.index: arrival for arrival in read_arrivals(run / "arrivals.csv")}
    path = run / "requests.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["outcome"] in ACKNOWLEDGED:
                    arrival = arrivals[int(row["index"])]
                    yield Followed(
                        id=arrival.id,
                        venue_id=row.get("venue_id") or "",
                        customer_id=arrival.customer_id,
                        network=arrival.network,
                        asset=arrival.asset,
                        amount=str(arrival.amount),
                        destination=arrival.destination,
                    )
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UsageError(f"{path} is no log of the flood of arrivals.csv: {error!r}") from error


def _of_prober(path: Path) -> Iterator[Followed]:
    try:
        text = path.read_text(encoding="utf-8")
        for line in text[: text.rfind("\n") + 1].splitlines():
            sample = json.loads(line)
            detail = sample["detail"]
            if sample["probe"] in PROBES and sample["ok"] and "id" in detail:
                yield Followed(
                    id=str(detail["id"]),
                    venue_id=str(detail.get("venue_id") or ""),
                    customer_id=str(detail["customer_id"]),
                    network=str(detail["network"]),
                    asset=str(detail["asset"]),
                    amount=str(detail["amount"]),
                    destination=str(detail["destination"]),
                )
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path} is no log of the prober: {error!r}") from error


class Follower:
    """Asks for withdrawals in rounds, each as soon as the one before it is over.

    Args:
        venue: Must offer to follow withdrawals.
        customers: Credentials by customer id.
    """

    def __init__(self, venue: Venue, customers: Mapping[str, Credentials]) -> None:
        if FOLLOW not in venue.adapter.operations:
            raise UsageError(
                f"the venue offers no {FOLLOW}, so nothing that it promised can be followed",
                remedy="declare the operation in what venue.speaks names",
            )
        self._venue, self._customers = venue, customers
        self._sessions = Sessions(venue)
        self._impossible: set[str] = set()

    def follow(
        self,
        known: list[Followed],
        *,
        within_s: float,
        rest: Callable[[], Sequence[Followed] | None],
    ) -> None:
        """Write what the venue says into each; ends when all are final, or after ``within_s``.

        ``rest`` is asked before each round until it says what else there is, which is added to
        ``known``; None is that more may come. The time counts from its answer on.
        """
        pool = Pool(AT_ONCE)
        early = gevent.spawn(partial(self._rounds, pool, known, more=True))
        while (late := rest()) is None:
            gevent.sleep(ROUND_S_MIN)
        early.kill()
        pool.kill()
        known += late
        with gevent.Timeout(max(within_s, len(known) / ASKED_PER_S_MIN), False):
            self._rounds(pool, known, more=False)
        pool.kill()

    def _rounds(self, pool: Pool, known: Sequence[Followed], *, more: bool) -> None:
        """Ask for each open one, round by round; unless ``more``, until all are at their end."""
        while (open_ones := self._open(known)) or more:
            began = time.monotonic()
            for each in open_ones:
                pool.spawn(self._ask, each)
            pool.join()
            pause = began + ROUND_S_MIN - time.monotonic()
            if pause > 0 and (more or self._open(known)):
                gevent.sleep(pause)

    def _open(self, known: Sequence[Followed]) -> list[Followed]:
        return [
            each for each in known if each.state not in FINAL and each.id not in self._impossible
        ]

    def _ask(self, each: Followed) -> None:
        customer = self._customers[each.customer_id]
        asked_at = f"{time.time():.6f}"
        # Silence says nothing, so the time of the last answer stands once there was one.
        each.asked_at = asked_at if each.state == UNANSWERED else each.asked_at
        try:
            session = self._sessions.of(customer)
            answer = self._once(each, customer, session)
            if session is not None and isinstance(answer, Refusal) and answer.code == UNAUTHORIZED:
                session = self._sessions.of(customer, worn_out=session)
                answer = self._once(each, customer, session)
        except UsageError as error:
            self._impossible.add(each.id)
            each.reason = str(error)
            return
        except ServiceError as error:
            each.polls += 1
            self._unanswered(each, str(error))
            return
        each.polls += 1
        if isinstance(answer, Withdrawal):
            each.asked_at = asked_at
            each.state = answer.state
            each.reason = answer.reason or ""
            each.tx_hash = answer.tx_hash or ""
            each.seq = "" if answer.seq is None else str(answer.seq)
            each.venue_id = each.venue_id or answer.venue_id or ""
        elif answer.code == "not_found":
            each.asked_at = asked_at
            each.state, each.reason = LOST, answer.reason
        else:
            self._unanswered(each, f"{answer.code}: {answer.reason}")

    def _once(
        self, each: Followed, customer: Credentials, session: str | None
    ) -> Withdrawal | Refusal:
        answer = self._venue.ask(
            FOLLOW,
            {"id": each.id},
            customer=customer,
            session=session,
            venue_id=each.venue_id or None,
        )
        if isinstance(answer, Withdrawal) and answer.id is not None and str(answer.id) != each.id:
            raise ServiceError(f"the venue answered about another withdrawal, {answer.id}")
        if not isinstance(answer, Withdrawal | Refusal):
            raise ServiceError(f"the adapter made a {type(answer).__name__} of the answer")
        return answer

    @staticmethod
    def _unanswered(each: Followed, reason: str) -> None:
        """A state that was seen before stands: silence since then says nothing against it."""
        if each.state == UNANSWERED:
            each.reason = " ".join(reason.split())


def write_followed(all_of_them: Sequence[Followed], path: Path) -> None:
    """Write one line for each, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in all_of_them:
        writer.writerow([getattr(each, name) for name in COLUMNS])
    write_whole(path, text.getvalue())


def counts(all_of_them: Sequence[Followed]) -> dict[str, Any]:
    """How far it is: for people, and for the last line."""
    states = Counter(each.state for each in all_of_them)
    return {
        "total": len(all_of_them),
        "asked": sum(each.polls > 0 for each in all_of_them),
        "final": sum(states[state] for state in FINAL),
        "states": dict(sorted(states.items())),
    }


def emit(event: str, **detail: Any) -> None:
    """One JSON line on standard output."""
    print(json.dumps({"at": round(time.time(), 6), "event": event, **detail}), flush=True)


def _require_running(run: Path) -> None:
    """Raise :class:`UsageError` for a run that is over: its files are evidence, and stay so."""
    manifest = run / "manifest.json"
    if manifest.is_file() and read_json(manifest).get("files"):
        raise UsageError(
            f"{run} is over, and what it gathered is evidence",
            remedy="copy arrivals.csv, requests.csv and probes.jsonl to a folder, and follow there",
        )


def _closed(descriptor: int) -> bool:
    """Whether whoever started this has closed it; what else is written there is passed over."""
    while select.select([descriptor], [], [], 0)[0]:
        if not os.read(descriptor, 4096):
            return True
    return False


def _report(all_of_them: Sequence[Followed]) -> None:
    while True:
        gevent.sleep(PROGRESS_EVERY_S)
        emit("progress", **counts(all_of_them))


def main() -> int:
    """Follow the withdrawals of one run; the exit code is of :class:`ExitCode`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="the run's directory")
    parser.add_argument(
        "--within-s",
        type=float,
        required=True,
        help="seconds to ask for, or as many as it takes to ask once",
    )
    arguments = parser.parse_args()
    end_with_runner()
    try:
        deployment = load_deployment(arguments.deployment)
        credentials = deployment.customers
        if credentials is None:
            raise UsageError(f"{deployment.path} names no customers to act as")
        _require_running(arguments.run)
        # The prober's customers are its own until it has ended: a login may end an earlier one.
        followed = _once_by_id(_of_flood(arguments.run))
        wanted = {each.customer_id for each in followed}
        with Venue(
            deployment.urls.api,
            load_adapter(deployment.venue.speaks, policy=deployment.policy),
            concurrency=AT_ONCE,
            timeout_s=ANSWER_S_MAX,
        ) as venue:
            customers = dict(read_credentials(credentials, wanted=wanted))
            follower = Follower(venue, customers)

            def rest() -> Sequence[Followed] | None:
                if not _closed(sys.stdin.fileno()):
                    return None
                ids = {each.id for each in followed}
                late = [each for each in acknowledged(arguments.run) if each.id not in ids]
                asking = {each.customer_id for each in late} - customers.keys()
                if asking:
                    customers.update(read_credentials(credentials, wanted=asking))
                return late

            reporter = gevent.spawn(_report, followed)
            follower.follow(followed, within_s=arguments.within_s, rest=rest)
            reporter.kill()
        write_followed(followed, arguments.run / FOLLOWED)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    emit("ended", **counts(followed))
    asked = all(each.polls > 0 for each in followed)
    return int(ExitCode.PASS if asked else ExitCode.UNKNOWN)


if __name__ == "__main__":
    sys.exit(main())
