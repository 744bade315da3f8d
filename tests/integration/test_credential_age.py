"""Ages of credentials, measured and published in the sandbox's AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitors.credential_age import main, measure
from seawall.conventions import aws as aws_names
from seawall.errors import ServiceError
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    with running_aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        for name, value in ROOT_KEY.items():
            patch.setenv(name, value)
        yield endpoint


@pytest.fixture(scope="module")
def outputs(aws: str) -> dict[str, Any]:
    """A stack with one rail and a custodian.

    The primary's credentials were put in one region and forgotten in the other; the custodian's
    likewise.
    """
    secrets: dict[str, dict[str, str]] = {}
    custodian: dict[str, str] = {}
    for region in (PRIMARY, STANDBY):
        manager = client("secretsmanager", aws, ROOT_KEY, region=region)
        secrets[region] = {
            "primary": manager.create_secret(
                Name=aws_names.rail_secret("harbour", "fiat", "primary")
            )["ARN"]
        }
        custodian[region] = manager.create_secret(
            Name=aws_names.keeper_secret("harbour", "custodian")
        )["ARN"]
    for secret in (secrets[PRIMARY]["primary"], custodian[PRIMARY]):
        client("secretsmanager", aws, ROOT_KEY, region=PRIMARY).put_secret_value(
            SecretId=secret, SecretString="x"
        )
    return {"rails": {"fiat": {"secrets": secrets}}, "keepers": {"custodian": custodian}}


def test_an_age_is_published_where_the_credential_lies_and_none_for_a_secret_without_a_value(
    aws: str, outputs: dict[str, Any]
) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    ages = [
        (age.credential.of[0][1], age.credential.region, age.seconds)
        for age in measure(outputs, endpoint=aws, now=later)
    ]
    old = pytest.approx(7_200, abs=60)
    assert sorted(ages, key=str) == [
        ("custodian", PRIMARY, old),
        ("custodian", STANDBY, None),
        ("fiat", PRIMARY, old),
        ("fiat", STANDBY, None),
    ]
    names = {}
    for region in (PRIMARY, STANDBY):
        metrics = client("cloudwatch", aws, ROOT_KEY, region=region).list_metrics(
            Namespace=aws_names.CLOUDWATCH_NAMESPACE
        )["Metrics"]
        names[region] = sorted(
            (
                (each["MetricName"], {pair["Name"]: pair["Value"] for pair in each["Dimensions"]})
                for each in metrics
            ),
            key=str,
        )
    assert names == {
        PRIMARY: [
            (aws_names.CREDENTIAL_AGE, {"keeper": "custodian"}),
            (aws_names.CREDENTIAL_AGE, {"rail": "fiat", "side": "primary"}),
        ],
        STANDBY: [],
    }


def test_a_region_that_does_not_answer_is_named(outputs: dict[str, Any]) -> None:
    with pytest.raises(
        ServiceError, match=f"the age of credentials is unknown in {PRIMARY}: .*; {STANDBY}: "
    ):
        list(measure(outputs, endpoint="http://127.0.0.1:1"))


def test_the_command_says_what_it_found_and_fails_while_a_value_is_missing(
    aws: str, outputs: dict[str, Any], tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(outputs), encoding="utf-8")
    assert main(["--outputs", str(file), "--endpoint", aws]) == 1
    told = capsys.readouterr().out
    assert f"fiat primary {STANDBY}: no value was ever put" in told
    assert f"custodian {STANDBY}: no value was ever put" in told
