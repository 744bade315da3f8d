"""Authenticates every request and judges it by the policies of its caller and of its resources.

AWS authenticates a request by its signature, then evaluates its policies
(``seawall.iam.evaluation``). moto judges everything but S3 against the resource ``*``, ignores
conditions, boundaries, session policies and the policies of resources, lets roles that do not exist
be assumed, and starts to enforce after a number of calls. Here enforcement starts when an account
has a user called ``deployer``; the account's root credentials stay allowed. A policy that cannot be
evaluated refuses the request, and the refusal names the element. What is known to differ from AWS
is in ``docs/divergences.md``.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import InvalidClientTokenIdError, SignatureDoesNotMatchError
from moto.core.utils import get_service_model
from moto.iam import access_control
from moto.iam.models import IAMBackend, iam_backends
from moto.kms.responses import KmsResponse
from moto.s3.exceptions import BucketAccessDeniedError, S3AccessDeniedError, S3ClientError
from moto.s3.models import FakeBucket
from werkzeug.exceptions import HTTPException

from localaws.emulator.authorization import boundaries, sessions
from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.callers import (
    Caller,
    RootKey,
    UserKey,
    caller,
    expired,
    key_of,
)
from localaws.emulator.authorization.context import RequestContext
from localaws.emulator.authorization.passed_roles import pass_role, passed_roles, tagged
from localaws.emulator.authorization.resources import RequestedResource, requested_resources
from localaws.emulator.authorization.resources.buckets import (
    S3Request,
    requested_buckets,
    requested_object_keys,
)
from seawall.conventions import aws
from seawall.iam.evaluation import decide
from seawall.iam.request import Policies, Request, UnevaluatedElementError

_ALWAYS_ALLOWED = frozenset({"sts:GetCallerIdentity"})
"""AWS answers GetCallerIdentity even under an explicit deny (API reference, GetCallerIdentity)."""
_IAM_PREFIXES = {"monitoring": "cloudwatch"}
"""Services whose name in a signature is not their name in a policy."""
_JSON_CODES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
}
_CODES_OF_SERVICES = {
    ("sns", "AccessDenied"): "AuthorizationError",
    ("ec2", "AccessDenied"): "UnauthorizedOperation",
}


def install() -> None:
    """Replace moto's authentication and authorisation.

    Also the partial evaluations that moto makes in KMS and S3.
    """
    os.environ.setdefault(
        "MOTO_IAM_LOAD_MANAGED_POLICIES", "true"
    )  # AWS's own managed policies exist in every account
    boundaries.install()
    sessions.install()
    mixin: Any = ActionAuthenticatorMixin
    mixin._authenticate_and_authorize_action = _authorize
    control: Any = access_control
    control.create_access_key = key_of
    response: Any = KmsResponse
    response._validate_key_policy = lambda _self, _key_id, _action: None
    bucket: Any = FakeBucket
    bucket.get_permission = lambda _self, _action, _resource: (
        access_control.PermissionResult.NEUTRAL
    )


class _RefusalError(HTTPException):
    """An error in the protocol of the request."""

    def __init__(self, response: Any, service: str, code: str, message: str) -> None:
        super().__init__()
        self.code = 403
        if "X-Amz-Target" in response.headers:
            self.code = 400
            self.description = json.dumps(
                {"__type": _JSON_CODES.get(code, code), "message": message}
            )
        elif get_service_model(response.boto3_service_name).protocol == "rest-json":
            self.description = json.dumps(
                {"__type": _JSON_CODES.get(code, code), "message": message}
            )
        else:
            code = _CODES_OF_SERVICES.get((service, code), code)
            error = (
                f"<Error><Type>Sender</Type><Code>{escape(code)}</Code>"
                f"<Message>{escape(message)}</Message></Error>"
            )
            if service == "ec2":
                self.description = (
                    f"<Response><Errors>{error}</Errors><RequestID></RequestID></Response>"
                )
            else:
                self.description = f"<ErrorResponse>{error}<RequestId></RequestId></ErrorResponse>"


def _authorize(self: Any, iam_request_class: type, resource: str = "*") -> None:
    """Return if the request may proceed; else raise what the service answers.

    ``resource`` is moto's guess, used for S3 only.
    """
    account = iam_backends[self.current_account][self.partition]
    if aws.DEPLOYER not in account.users:
        return
    s3 = iam_request_class is access_control.S3IAMRequest
    if "Authorization" not in self.headers:
        raise _refusal(
            self, "", "MissingAuthenticationToken", "Request is missing Authentication Token", s3=s3
        )
    request = _authenticated(self, iam_request_class)
    service, _, operation = request._action.partition(":")
    call = ApiCall(self, service=_IAM_PREFIXES.get(service, service), operation=operation)
    key = request._access_key
    if expired(key):
        raise _refusal(
            self,
            service,
            "ExpiredToken",
            "The security token included in the request is expired",
            s3=s3,
        )
    if isinstance(key, RootKey) or call.action in _ALWAYS_ALLOWED:
        return
    try:
        who = caller(account, key)
        _judge(call, who, _s3(call, resource) if s3 else _others(call, key))
    except UnevaluatedElementError as unknown:
        raise _refusal(
            self,
            service,
            "AccessDenied",
            f"{_name(account, key)} is not authorized to perform: {call.action}"
            f" because a policy uses what the sandbox does not evaluate: {unknown}",
            s3=s3,
        ) from unknown


def _others(call: ApiCall, key: Any) -> Iterable[RequestedResource]:
    requested = requested_resources(call, key)
    return (*requested, *tagged(call, requested), *passed_roles(call))


def _s3(call: ApiCall, arn: str) -> Iterable[RequestedResource]:
    request = S3Request(call, arn)
    role = request.replication_role
    handed = (pass_role(call, role, "s3"),) if role is not None else ()
    return (*requested_buckets(request), *requested_object_keys(request), *handed)


def _judge(call: ApiCall, who: Caller, requested: Iterable[RequestedResource]) -> None:
    """Raise the refusal of the first resource that is not allowed."""
    for one in requested:
        action = one.action or call.action
        request = Request(
            principal=who.principal,
            action=action,
            resource=one.arn,
            context=RequestContext(call, who, one),
        )
        policies = Policies(
            identity=who.policies.identity,
            boundary=who.policies.boundary,
            session=who.policies.session,
            resource=one.policy,
        )
        decision = decide(request, policies)
        if not decision.allowed:
            raise _refusal(
                call.response,
                call.service,
                "AccessDenied",
                f"User: {who.principal.arn} is not authorized to perform: {action}"
                f" on resource: {one.arn or '(not known)'} {decision.reason}",
                s3=call.service == "s3",
            )


def _authenticated(self: Any, iam_request_class: type) -> Any:
    """The request as moto reads it, its signature checked.

    S3 has errors of its own, which pass through.

    moto takes the parameters for the body where it finds none: right for a form, wrong for a
    request without a body.
    """
    data = self.data if self.form_data or iam_request_class is access_control.S3IAMRequest else {}
    path = self.raw_path + (f"?{self.parsed_url.query}" if self.parsed_url.query else "")
    try:
        request = iam_request_class(
            account_id=self.current_account,
            method=self.method,
            path=path,
            data=data,
            body=self.raw_body,
            headers=self.headers,
            action=self._get_action(),
        )
        request.check_signature()
    except (InvalidClientTokenIdError, SignatureDoesNotMatchError) as error:
        raise _refusal(self, "", error.error_type, error.message, s3=False) from error
    return request


def _name(account: IAMBackend, key: Any) -> str:
    if isinstance(key, UserKey):
        return f"User: {account.users[key.user_name].arn}"
    return f"User: a session {key.name} of {key.role_arn}"


def _refusal(self: Any, service: str, code: str, message: str, *, s3: bool) -> Exception:
    if not s3:
        return _RefusalError(self, service, code, message)
    if code == "AccessDenied" and "delete" in self.querystring and self.method == "POST":
        # which DeleteObjects answers with an error per key
        return BucketAccessDeniedError(bucket=self.data.get("BucketName"))
    refusal = S3AccessDeniedError() if code == "AccessDenied" else S3ClientError(code, message)
    refusal.message = message
    return refusal
