"""Publish the venue's indicators to CloudWatch of both regions, for the alarms that the stack puts
on the policy's triggers.

Usage, as a service beside Prometheus: ``python -m monitors.indicators --policy
policies/production.yaml --prometheus http://127.0.0.1:9090``, with credentials that may
cloudwatch:PutMetricData; ``--once`` looks once. Only what the policy's triggers watch is published,
the worst of all processes that tell it.

An indicator is only as alive as the mode controller that computes it. One whose mode controller has not renewed its
lease within the policy's ``absent_for``, one that nobody tells and one that is no number are not
published: the alarms take missing data as breaching, so a venue that says nothing pages.
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
"""Half of the shortest period of an alarm.

With one datum a period, a late one would leave a period empty, and that pages.
"""
_ANSWER_S_MAX = 3.0
_UNTIL_THEN = "until it does nothing is published, and the alarms fire"
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=3)
"""One try: the next turn is sooner than a second one would be worth."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one look found.

    ``values`` by indicator, and the indicators that a trigger watches and nobody tells.
    """

    values: Mapping[str, float]
    missing: tuple[str, ...]


def query_of(policy: Policy) -> str:
    """PromQL: the worst level of each indicator that a living mode controller shows."""
    fresh = f"time() - {metrics.MODE_CONTROLLER_HEARTBEAT} < {number(Fraction(policy.monitoring.absent_for, 1_000))}"
    return (
        f"max by ({metrics.INDICATOR_LABEL}) ({metrics.INDICATOR} and on (instance, job) ({fresh}))"
    )


def turn_of(answer: Any, policy: Policy) -> Turn:
    """What Prometheus' answer to an instant query says of the indicators that ``policy`` watches.

    Raises :class:`ServiceError`.
    """
    watched = sorted({trigger.indicator for trigger in policy.triggers})
    try:
        told = {
            sample["metric"][metrics.INDICATOR_LABEL]: float(sample["value"][1])
            for sample in answer["data"]["result"]
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        message = f"Prometheus gave no vector: {str(answer)[:200]}"
        raise ServiceError(
            message, remedy="is --prometheus the base URL of a Prometheus?"
        ) from error
    values: dict[str, float] = {
        name: told[name] for name in watched if math.isfinite(told.get(name, math.nan))
    }
    return Turn(values=values, missing=tuple(name for name in watched if name not in values))


def data_of(turn: Turn, *, now: datetime) -> list[dict[str, Any]]:
    """For PutMetricData, with a resolution of a second.

    Alarms of less than a minute look at no other (CloudWatch API reference, MetricDatum).
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
    """Reads one Prometheus and writes every region of the policy.

    A region that does not answer delays no other.
    """

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
        """Look and publish once; what was found, and a line for each region that did not take it.

        Raises :class:`ServiceError`.
        """
        try:
            answer = self._prometheus.get("/api/v1/query", params={"query": query_of(self._policy)})
            told = answer.raise_for_status().json()
        except httpx.HTTPStatusError as error:
            message = f"Prometheus answers {error.response.status_code}"
            raise ServiceError(message, remedy=_UNTIL_THEN) from error
        except (httpx.HTTPError, ValueError) as error:
            message = f"Prometheus does not answer: {error}"
            raise ServiceError(message, remedy=_UNTIL_THEN) from error
        found = turn_of(told, self._policy)
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
    """What a turn says that is not well."""
    if found.missing:
        yield f"nobody tells {', '.join(found.missing)}: is the mode controller alive, and scraped?"
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
    parser.add_argument("--once", action="store_true", help="look once and say what was published")
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
    """Say what is not well when that changes, not every turn."""
    told: list[str] | None = None
    while True:
        began = time.monotonic()
        try:
            said = list(lines(*publisher.turn(now=datetime.now(UTC))))
        except ServiceError as error:
            said = [str(error)]
        if said != told:
            told = said
            print(
                "\n".join(said) or "every indicator is published in both regions",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


if __name__ == "__main__":
    sys.exit(main())
