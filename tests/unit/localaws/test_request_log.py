"""The request log reads service, operation and caller out of a request, without AWS."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from localaws.emulator.request_log import LoggedRequest, RequestLog, action_of, read_log
from seawall.conventions.local_aws import ACCOUNT_ID, ROOT_ACCESS_KEY_ID

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(
    method: str, path: str, query: str = "", body: bytes = b"", **more: str
) -> dict[str, Any]:
    """A WSGI environment."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **more,
    }


@pytest.mark.parametrize(
    ("service", "environ", "action"),
    [
        ("kms", request("POST", "/", HTTP_X_AMZ_TARGET="TrentService.Sign"), "Sign"),
        (
            "monitoring",
            request("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm"),
            "PutMetricAlarm",
        ),
        (
            "iam",
            request("POST", "/", body=b"Action=CreateRole&Version=2010-05-08", CONTENT_TYPE=FORM),
            "CreateRole",
        ),
        ("s3", request("HEAD", "/bucket"), "HeadBucket"),
        ("s3", request("PUT", "/bucket"), "CreateBucket"),
        ("s3", request("PUT", "/bucket", "versioning"), "PutBucketVersioning"),
        ("s3", request("GET", "/bucket", "object-lock"), "GetObjectLockConfiguration"),
        ("s3", request("PUT", "/bucket/folder/key"), "PutObject"),
        ("s3", request("PUT", "/bucket/key", HTTP_X_AMZ_COPY_SOURCE="/other/key"), "CopyObject"),
        ("s3", request("PUT", "/bucket/folder/key", "uploadId=1&partNumber=2"), "UploadPart"),
        ("route53", request("POST", "/2013-04-01/healthcheck"), "CreateHealthCheck"),
        ("backup", request("PUT", "/backup-vaults/ours"), "CreateBackupVault"),
        ("aps", request("GET", "/workspaces"), "ListWorkspaces"),
        ("nobody", request("GET", "/x"), "GET /x"),
    ],
)
def test_an_action_is_read_as_each_protocol_writes_it(
    service: str, environ: dict[str, Any], action: str
) -> None:
    assert action_of(environ, service) == action


def test_the_body_of_a_form_is_still_there_for_the_service() -> None:
    environ = request("POST", "/", body=b"Action=CreateRole&RoleName=a", CONTENT_TYPE=FORM)
    action_of(environ, "iam")
    assert environ["wsgi.input"].read() == b"Action=CreateRole&RoleName=a"


@pytest.mark.parametrize(
    ("action", "reads"),
    [
        ("DescribeKey", True),
        ("GetPublicKey", True),
        ("ListKeys", True),
        ("HeadBucket", True),
        ("CreateKey", False),
        ("Sign", False),
        ("AssumeRole", False),
        ("GenerateDataKey", False),
        ("PUT /x", False),
    ],
)
def test_actions_that_only_read_are_distinguished_from_changes(action: str, *, reads: bool) -> None:
    asked = LoggedRequest(at=0, region="r", service="s", action=action, caller="c", status=200)
    assert asked.reads is reads


def test_a_request_is_logged_with_its_caller_and_status_and_motos_own_pages_are_not(
    tmp_path: Path,
) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("403 FORBIDDEN", [])
        return [b""]

    log = RequestLog(app, tmp_path / "log")
    signed = (
        f"AWS4-HMAC-SHA256 Credential={ROOT_ACCESS_KEY_ID}/20260101/us-west-2/kms/aws4_request, "
        "Signature=0"
    )
    for path, authorization in (("/", signed), ("/", ""), ("/moto-api/data.json", "")):
        environ = request(
            "POST", path, HTTP_X_AMZ_TARGET="TrentService.Sign", HTTP_AUTHORIZATION=authorization
        )
        log(environ, lambda *_: None)
    found = read_log(tmp_path / "log")
    assert [(each.region, each.service, each.action, each.status) for each in found] == [
        ("us-west-2", "kms", "Sign", 403),
        ("-", "-", "Sign", 403),
    ]
    assert [each.caller for each in found] == [f"arn:aws:iam::{ACCOUNT_ID}:root", "-"]
    assert json.loads((tmp_path / "log").read_text().splitlines()[0])["at"] > 0
