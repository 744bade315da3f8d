"""Publish the age of credentials with others to CloudWatch of the region that they are in.

Of every rail's, by side, and of the custodian's and carrier's.

Usage, at least once an hour: ``python -m monitors.credential_age --outputs stack.json``, with
credentials that may secretsmanager:ListSecretVersionIds on these secrets and
cloudwatch:PutMetricData; it never reads a value.

The age is that of the version that readers get (AWSCURRENT). DescribeSecret's LastChangedDate does
not serve: it also moves when a tag or a policy is changed (API reference, DescribeSecret), and
would make a forgotten credential look fresh. A secret without a value has no age: nothing is
published for it, which its alarm takes for too old, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from monitors.remote_write import read_outputs
from seawall.conventions import aws
from seawall.errors import ExitCode, SeawallError, ServiceError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_CURRENT = "AWSCURRENT"


@dataclass(frozen=True, kw_only=True)
class Credential:
    """One secret of the stack; ``of`` says whose it is, as the dimensions of its age do."""

    of: tuple[tuple[str, str], ...]
    region: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Age:
    """Seconds since the credential that readers get was written; None if none ever was."""

    credential: Credential
    seconds: float | None


def credentials_of(outputs: Mapping[str, Any]) -> list[Credential]:
    """Every secret that a stack's outputs name. Raises :class:`UsageError` if they name none."""
    try:
        found = [
            Credential(of=(("rail", rail), ("side", side)), region=region, arn=arn)
            for rail, described in sorted(outputs["rails"].items())
            for region, by_side in sorted(described["secrets"].items())
            for side, arn in sorted(by_side.items())
        ]
        found += [
            Credential(of=(("keeper", who),), region=region, arn=arn)
            for who, by_region in sorted(outputs["keepers"].items())
            for region, arn in sorted(by_region.items())
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"these outputs name no rails, or no custodian and carrier: {error!r}",
            remedy="give what `pulumi stack output --json` prints after pulumi up",
        ) from error
    if not found:
        raise UsageError(
            "these outputs name no secret",
            remedy="give the outputs of a stack with rails, or with a custodian or carrier",
        )
    return found


def age_of(credential: Credential, client: Any, *, now: datetime) -> Age:
    """How old ``credential`` is at ``now``."""
    put = None
    following: dict[str, str] = {}
    while put is None:  # boto3 has no paginator for this call
        page = client.list_secret_version_ids(SecretId=credential.arn, **following)
        put = next(
            (
                each["CreatedDate"]
                for each in page["Versions"]
                if _CURRENT in each.get("VersionStages", [])
            ),
            None,
        )
        if put is None and not page.get("NextToken"):
            return Age(credential=credential, seconds=None)
        following = {"NextToken": page.get("NextToken", "")}
    return Age(credential=credential, seconds=(now - put.astimezone(UTC)).total_seconds())


def publish(ages: list[Age], client: CloudWatchClient, *, now: datetime) -> None:
    """Put the known ages of one region into its CloudWatch."""
    data: list[Any] = [
        {
            "MetricName": aws.CREDENTIAL_AGE,
            "Dimensions": [{"Name": name, "Value": value} for name, value in age.credential.of],
            "Timestamp": now,
            "Value": age.seconds,
            "Unit": "Seconds",
        }
        for age in ages
        if age.seconds is not None
    ]
    if data:
        client.put_metric_data(Namespace=aws.CLOUDWATCH_NAMESPACE, MetricData=data)


def measure(
    outputs: Mapping[str, Any], *, endpoint: str | None = None, now: datetime | None = None
) -> Iterator[Age]:
    """Measure and publish, region by region.

    A region that does not answer leaves the others measured.

    Raises :class:`ServiceError` at the end, naming every region that failed.
    """
    moment = now or datetime.now(UTC)
    failed = []
    credentials = credentials_of(outputs)
    for region in sorted({credential.region for credential in credentials}):
        try:
            session = boto3.Session(region_name=region)
            secrets = session.client("secretsmanager", endpoint_url=endpoint)
            ages = [
                age_of(each, secrets, now=moment) for each in credentials if each.region == region
            ]
            publish(ages, session.client("cloudwatch", endpoint_url=endpoint), now=moment)
            yield from ages
        except (ClientError, BotoCoreError) as error:
            failed.append(f"{region}: {error}")
    if failed:
        raise ServiceError(
            f"the age of credentials is unknown in {'; '.join(failed)}",
            remedy="their alarms fire until it is published again",
        )


def main(arguments: list[str] | None = None) -> int:
    """Measure once; returns 0, 1 if a secret has no value yet, or the exit code of the error."""
    parser = argparse.ArgumentParser(
        prog="python -m monitors.credential_age",
        description="Publish the age of credentials with rails, custodian and carrier.",
    )
    parser.add_argument(
        "--outputs", type=Path, help="the stack's outputs as JSON (default: standard input)"
    )
    parser.add_argument("--endpoint", help="where AWS answers, if it is not AWS itself")
    options = parser.parse_args(arguments)
    empty = False
    try:
        for age in measure(read_outputs(options.outputs), endpoint=options.endpoint):
            at = age.credential
            empty = empty or age.seconds is None
            text = "no value was ever put" if age.seconds is None else f"{age.seconds:.0f} s"
            whose = " ".join(value for _, value in at.of)
            print(f"{whose} {at.region}: {text}")
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.FAIL if empty else ExitCode.PASS


if __name__ == "__main__":
    sys.exit(main())
