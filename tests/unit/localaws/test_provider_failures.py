"""The message to the engine about a call that AWS refused: the resource, AWS's code, what to do."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from localaws.provider.failures import reason


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said AWS"}}, "CreateKey")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("ExpiredToken", "have expired: get new ones"),
        ("ExpiredTokenException", "have expired: get new ones"),
        ("InvalidClientTokenId", "are not accepted: start the sandbox, or get new credentials"),
        ("SignatureDoesNotMatch", "are not accepted: start the sandbox, or get new credentials"),
        ("AccessDenied", "allow the deployer this action"),
        ("AccessDeniedException", "allow the deployer this action"),
    ],
)
def test_a_refusal_names_resource_code_and_remedy(code: str, remedy: str) -> None:
    said = reason("aws:kms/key:Key hot", refused(code))
    assert said.startswith(f"aws:kms/key:Key hot: {code}: said AWS (")
    assert remedy in said


def test_a_code_without_a_remedy_is_reported_as_it_is() -> None:
    assert (
        reason("aws:kms/key:Key hot", refused("LimitExceeded"))
        == "aws:kms/key:Key hot: LimitExceeded: said AWS"
    )


def test_an_aws_that_does_not_answer_is_reported_as_such() -> None:
    said = reason("aws:kms/key:Key hot", EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    assert said.startswith("aws:kms/key:Key hot: AWS does not answer: ")
    assert said.endswith("(see that the sandbox runs: bin/seawall up)")
