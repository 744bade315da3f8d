"""Publish the venue's indicators to CloudWatch of both regions, for the alarms on the triggers.

Usage, as a service beside Prometheus: ``python -m monitors.indicators --policy
policies/production.yaml --prometheus http://127.0.0.1:9090``, with credentials that may
cloudwatch:PutMetricData; ``--once`` publishes once. Only indicators that the policy's triggers
watch are published, each with the worst value of all processes that serve it.

An indicator is only as current as the mode controller that computes it. An indicator is not
published if its mode controller has not renewed its lease within the policy's ``absent_for``, if no
process serves it, or if it is not a number: the alarms treat missing data as breaching, so a venue
that reports nothing pages.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from monitors.promql import number
from seawall.conventions import aws, metrics
from seawall.errors import ExitCode, SeawallError, ServiceError
from seawall.policy import Policy
from seawall.policy_file import load_policy

EVERY_S = 5.0
"""Half of the shortest period of an alarm, because a period without a datum pages.

With one datum per period, a late one would leave a period empty.
"""
_ANSWER_S_MAX = 3.0
_UNTIL_THEN = "until it does nothing is published, and the alarms fire"
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=3)
"""One attempt: the next turn comes sooner than a retry would be worth."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one query found.

    Args:
        values: by indicator.
        missing: indicators that a trigger watches and no process serves.
    """

    values: Mapping[str, float]
    missing: tuple[str, ...]


def query_of(policy: Policy) -> str:
    """PromQL: the worst level of each indicator that a living mode controller shows."""
    absent_s = number(Fraction(policy.monitoring.absent_for, 1_000))
    fresh = f"time() - {metrics.MODE_CONTROLLER_HEARTBEAT} < {absent_s}"
    return (
        f"max by ({metrics.INDICATOR_LABEL}) ({metrics.INDICATOR} and on (instance, job) ({fresh}))"
    )


def turn_of(answer: Any, policy: Policy) -> Turn:
    """The watched indicators in Prometheus' answer to an instant query.

    Raises :class:`ServiceError`.
    """
    watched = sorted({trigger.indicator for trigger in policy.triggers})
    try:
        served = {
            sample["metric"][metrics.INDICATOR_LABEL]: float(sample["value"][1])
            for sample in answer["data"]["result"]
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ServiceError(
            f"Prometheus gave no vector: {str(answer)[:200]}",
            remedy="is --prometheus the base URL of a Prometheus?",
        ) from error
    values: dict[str, float] = {
        name: served[name] for name in watched if math.isfinite(served.get(name, math.nan))
    }
    return Turn(values=values, missing=tuple(name for name in watched if name not in values))


def data_of(turn: Turn, *, now: datetime) -> list[dict[str, Any]]:
    """The input of PutMetricData, with a resolution of a second.

    Alarms with periods below a minute use no other data (CloudWatch API reference, MetricDatum).
    """
    return [
        {
            "MetricName": metrics.INDICATOR,
            "Dimensions": [{"Name": metrics.INDICATOR_LABEL, "Value": name}],
            "Timestamp": now,
            "Value": value,
            "StorageResolution": 1,
        }
        for name, value in turn.values.items()
    ]


class Publisher:
    """Reads one Prometheus and publishes to every region; a region that fails delays no other."""

    def __init__(
        self,
        policy: Policy,
        *,
        prometheus: str,
        endpoint: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._policy = policy
        self._prometheus = httpx.Client(
            base_url=prometheus, timeout=_ANSWER_S_MAX, trust_env=False, transport=transport
        )
        session: Any = boto3.Session()
        self._clients = {
            region: session.client(
                "cloudwatch", region_name=region, endpoint_url=endpoint, config=_CONFIG
            )
            for region in (policy.regions.primary, policy.regions.standby)
        }
        self._pool = ThreadPoolExecutor(max_workers=len(self._clients))

    def turn(self, *, now: datetime) -> tuple[Turn, list[str]]:
        """Query and publish once: what was found, and a line for each region that failed.

        Raises :class:`ServiceError`.
        """
        try:
            answer = self._prometheus.get("/api/v1/query", params={"query": query_of(self._policy)})
            document = answer.raise_for_status().json()
        except httpx.HTTPStatusError as error:
            raise ServiceError(
                f"Prometheus answers {error.response.status_code}", remedy=_UNTIL_THEN
            ) from error
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceError(
                f"Prometheus does not answer: {error}", remedy=_UNTIL_THEN
            ) from error
        found = turn_of(document, self._policy)
        data = data_of(found, now=now)
        failed = (
            []
            if not data
            else [
                line
                for line in self._pool.map(lambda region: self._put(region, data), self._clients)
                if line
            ]
        )
        return found, failed

    def _put(self, region: str, data: list[dict[str, Any]]) -> str:
        try:
            self._clients[region].put_metric_data(
                Namespace=aws.CLOUDWATCH_NAMESPACE, MetricData=data
            )
        except (ClientError, BotoCoreError) as error:
            return f"{region} took nothing: {error}"
        return ""


def lines(found: Turn, failed: list[str]) -> Iterator[str]:
    """A line for each thing that is wrong with a turn."""
    if found.missing:
        missing = ", ".join(found.missing)
        yield f"no series for {missing}: is the mode controller alive, and scraped?"
    yield from failed


def main(arguments: list[str] | None = None) -> int:
    """Publish until a signal.

    With ``--once``, 0 if every indicator reached every region, 1 if not, or the exit code of the
    error met.
    """
    parser = argparse.ArgumentParser(
        prog="python -m monitors.indicators",
        description="Publish the venue's indicators to CloudWatch of both regions.",
    )
    parser.add_argument(
        "--policy", type=Path, required=True, help="the policy whose triggers the alarms watch"
    )
    parser.add_argument(
        "--prometheus",
        required=True,
        metavar="URL",
        help="base URL of the Prometheus that scrapes the mode controller",
    )
    parser.add_argument(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="SECONDS",
        help=f"how often (default {EVERY_S:g})",
    )
    parser.add_argument("--once", action="store_true", help="publish once, and print what was")
    parser.add_argument("--endpoint", help="where AWS answers, if it is not AWS itself")
    options = parser.parse_args(arguments)
    if not 0 < options.every <= EVERY_S:
        parser.error(
            f"--every must be above 0 and at most {EVERY_S:g}: a period without a datum pages"
        )
    try:
        publisher = Publisher(
            load_policy(options.policy), prometheus=options.prometheus, endpoint=options.endpoint
        )
        if options.once:
            return _once(publisher)
        _forever(publisher, every_s=options.every)
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        pass
    return ExitCode.PASS


def _once(publisher: Publisher) -> int:
    found, failed = publisher.turn(now=datetime.now(UTC))
    for name, value in found.values.items():
        print(f"{name}: {value:g}")
    print(
        "\n".join(lines(found, failed)),
        end="\n" if found.missing or failed else "",
        file=sys.stderr,
    )
    return ExitCode.FAIL if found.missing or failed else ExitCode.PASS


def _forever(publisher: Publisher, *, every_s: float) -> None:
    """Print what is wrong when that changes, not every turn."""
    printed: list[str] | None = None
    while True:
        began = time.monotonic()
        try:
            wrong = list(lines(*publisher.turn(now=datetime.now(UTC))))
        except ServiceError as error:
            wrong = [str(error)]
        if wrong != printed:
            printed = wrong
            print(
                "\n".join(wrong) or "every indicator is published in both regions",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


if __name__ == "__main__":
    sys.exit(main())
