"""A policy document is read as it is written, and what is no document is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.iam.allowed_wildcards import AllowedWildcard
from seawall.iam.documents import HOLDER, NoDocumentError, UnreadableError, read

STATEMENT = {"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}


def test_a_statement_is_read_as_it_is_written() -> None:
    (statement,) = read(
        json.dumps(
            {
                "Statement": {
                    "Sid": "Sign",
                    "Effect": "Deny",
                    "NotAction": ["kms:Sign", "kms:Get*"],
                    "NotResource": "arn:aws:kms:us-east-1:1:key/k",
                    "Principal": {"AWS": ["a", "b"], "Service": "s3.amazonaws.com"},
                    "Condition": {"Bool": {"aws:SecureTransport": False}},
                }
            }
        )
    )
    assert statement.sid == "Sign"
    assert not statement.allow
    assert statement.actions == statement.resources == frozenset()
    assert statement.not_actions == {"kms:sign", "kms:get*"}
    assert statement.not_resources == {"arn:aws:kms:us-east-1:1:key/k"}
    assert statement.principals == {"a", "b", "s3.amazonaws.com"}
    assert statement.conditions == {("Bool", "aws:securetransport", frozenset({"false"}))}
    assert statement.values("NotAction") == ["kms:Sign", "kms:Get*"]
    assert statement.values("Action") == []


def test_an_identity_policy_is_about_its_holder() -> None:
    assert read({"Statement": [STATEMENT]})[0].principals == {HOLDER}


@pytest.mark.parametrize("document", ["", "[]", "{}", "04da6b54-80e4-46f7-96ec", None, 7])
def test_what_is_no_document_has_an_error_of_its_own(document: Any) -> None:
    with pytest.raises(NoDocumentError):
        read(document)


@pytest.mark.parametrize(
    "statement",
    ["x", {"Action": "kms:Sign"}, {**STATEMENT, "Condition": {"Bool": "aws:SecureTransport"}}],
)
def test_a_malformed_statement_is_an_error(statement: Any) -> None:
    with pytest.raises(UnreadableError) as raised:
        read({"Statement": [statement]})
    assert not isinstance(raised.value, NoDocumentError)


def test_a_statement_without_effect_can_be_read_as_one_that_allows() -> None:
    assert read({"Statement": {"Action": "kms:*"}}, assume_allow=True)[0].allow


@pytest.mark.parametrize(
    ("statement", "holds"),
    [
        ({"Action": "tag:GetResources"}, False),
        ({"Action": "tag:GetResources", "Condition": {"Bool": {"kms:ViaService": "x"}}}, True),
        ({"Action": "kms:Sign", "Condition": {"Bool": {"kms:ViaService": "x"}}}, False),
    ],
)
def test_an_allowed_wildcard_holds_while_its_reason_does(
    statement: dict[str, Any], *, holds: bool
) -> None:
    listed = AllowedWildcard(
        kind="k",
        name="n",
        sid="",
        element="Resource",
        pattern=".*",
        reason="tried here",
        condition="kms:viaservice",
        without_resources=True,
    )
    (read_statement,) = read({"Statement": {"Effect": "Allow", "Resource": "*", **statement}})
    assert listed.reason_holds(read_statement) is holds
