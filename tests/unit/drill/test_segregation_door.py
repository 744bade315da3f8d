"""The door of the fault role: what is tried beside it writes nothing, and it is closed again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from seawall.drill.segregation.door import opened, signers, try_beside, widest
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy_file import load_policy
from seawall.scorecard.one_control import Found

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
SIGNERS = {each.name for each in signers(POLICY)}


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "any")


class _GoneError(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "NoSuchEntity", "Message": ""}}, "any")


class _Iam:
    """IAM as the fault role sees it: inline policies of the signers' roles; else denied."""

    exceptions = SimpleNamespace(NoSuchEntityException=_GoneError)

    def __init__(self) -> None:
        self.written: dict[str, dict[str, Any]] = {}

    def iam(self, principal: Principal) -> Any:
        """The same client, for the fault role only."""
        assert principal == access.fault(POLICY)
        return self

    def put_role_policy(self, **given: str) -> None:
        """Only on a signer's role, and only what is a policy."""
        self._behind(given)
        document = json.loads(given["PolicyDocument"])
        if not document:
            raise _error("MalformedPolicyDocument")
        self.written[given["RoleName"]] = document

    def delete_role_policy(self, **given: str) -> None:
        """Only of a signer's role, and only what is there."""
        self._behind(given)
        if self.written.pop(given["RoleName"], None) is None:
            raise _GoneError

    def __getattr__(self, name: str) -> Any:
        def denied(**_given: str) -> NoReturn:
            raise _error("AccessDenied")

        return denied

    @staticmethod
    def _behind(given: dict[str, str]) -> None:
        if given["RoleName"] not in SIGNERS:
            raise _error("AccessDenied")


def test_beside_its_door_everything_is_tried_and_nothing_is_written() -> None:
    iam = _Iam()
    found = try_beside(cast("Any", iam), POLICY, "123456789012")
    assert all(each.as_expected for each in found)
    assert iam.written == {}
    assert {each.role for each in found} == {each.name for each in access.principals(POLICY)}
    assert {each.role for each in found if each.allowed} == SIGNERS
    assert {each.action for each in found} == {
        "iam:PutRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:AttachRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:UpdateAssumeRolePolicy",
    }


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (_error("NoSuchEntity"), Found.ALLOWED),
        (EndpointConnectionError(endpoint_url="x"), Found.UNCLEAR),
    ],
)
def test_an_answer_that_is_no_denial_was_allowed(
    monkeypatch: pytest.MonkeyPatch, error: Exception, found: Found
) -> None:
    """IAM looks at what is asked for only after it has allowed the call."""

    def attach(_self: _Iam, **_given: str) -> NoReturn:
        raise error

    monkeypatch.setattr(_Iam, "attach_role_policy", attach, raising=False)
    [tried] = [
        each
        for each in try_beside(cast("Any", _Iam()), POLICY, "123456789012")
        if each.action == "iam:AttachRolePolicy"
    ]
    assert tried.found is found
    assert not tried.as_expected
    assert tried.sentence().startswith("the fault role's iam:AttachRolePolicy on seawall-")


def test_the_door_is_closed_again_also_after_a_failure() -> None:
    """And ends by itself, should nobody close it."""
    iam = _Iam()
    found: list[dict[str, Any]] = []

    def broken() -> NoReturn:
        with opened(cast("Any", iam), POLICY):
            assert set(iam.written) == SIGNERS
            found.extend(iam.written.values())
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert iam.written == {}
    with opened(cast("Any", iam), POLICY):
        iam.written.clear()
    written = found[0]["Statement"][0]
    assert (written["Action"], written["Effect"]) == ("kms:*", "Allow")
    ends = datetime.fromisoformat(written["Condition"]["DateLessThan"]["aws:CurrentTime"])
    assert ends > datetime.now(UTC)
    assert widest(ends) == found[0]
