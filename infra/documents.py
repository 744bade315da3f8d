"""Write policy documents of IAM: statements in, one text out; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Statement = Mapping[str, Any]


def document(*statements: Statement) -> str:
    """The text of a policy with ``statements``, in the order given."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(
    sid: str, actions: Sequence[str], resources: str | Sequence[str], **more: Any
) -> Statement:
    """An allowing statement.

    ``more`` are further elements, such as ``Condition`` or ``Principal``.
    """
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": _plain(resources),
        **more,
    }


def trust(arn: str) -> str:
    """The trust policy of a role that ``arn`` alone may assume."""
    return document(
        {"Sid": "Assume", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
    )


def trust_service(service: str, account: str) -> str:
    """The trust policy of a role that an AWS service takes on for ``account`` alone.

    IAM user guide, "The confused deputy problem".
    """
    return document(
        {
            "Sid": "Assume",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": service},
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )


def _plain(resources: str | Sequence[str]) -> str | list[str]:
    return resources if isinstance(resources, str) else list(resources)
