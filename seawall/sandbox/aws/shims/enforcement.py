"""Every request is judged by the policies that bind its caller and the resource that it names.

AWS authenticates a request by its signature, then evaluates the identity policies of the caller with the policy of the resource (IAM user
guide, "Policy evaluation logic"; for KMS the key policy decides, developer guide "Key policies in KMS"; for AssumeRole the trust policy).
moto judges KMS against the resource ``*``, ignores key policies, lets roles that do not exist be assumed, and starts to enforce after a
number of calls. Here enforcement starts when an account has a user called ``deployer``; the account's root credentials stay allowed.
What is not evaluated is refused: permission boundaries, session policies, and the elements that ``policy_language`` does not know.
Known to differ from AWS: S3 actions carry the names that moto gives them; a session's credentials do not expire; ReplicateKey asks
for no permission in the region of the replica; grants allow nothing; moto's own control pages are not guarded. All that is known to
differ in the sandbox is in ``docs/divergences.md``.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from botocore.credentials import Credentials
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import InvalidClientTokenIdError, SignatureDoesNotMatchError
from moto.iam import access_control
from moto.iam.models import IAMBackend, iam_backends
from moto.s3.exceptions import S3AccessDeniedError
from werkzeug.exceptions import HTTPException

from seawall import conventions
from seawall.sandbox.aws.root import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from seawall.sandbox.aws.shims.policy_language import Request, UnevaluatedElementError, permitted
from seawall.sandbox.aws.shims.resources import Asked, resources_asked, s3_resource

_ALWAYS_ALLOWED = frozenset({"sts:GetCallerIdentity"})
"""AWS answers GetCallerIdentity even under an explicit deny (API reference, GetCallerIdentity)."""
_IAM_PREFIXES = {"monitoring": "cloudwatch"}
"""Services whose name in a signature is not their name in a policy."""
_moto_access_key = access_control.create_access_key


def install() -> None:
    """Replace moto's authentication and authorisation."""
    mixin: Any = ActionAuthenticatorMixin
    mixin._authenticate_and_authorize_action = _authorize
    access_control.create_access_key = _access_key


class _RefusalError(HTTPException):
    """An error in the protocol of the request: JSON if it names its operation in ``X-Amz-Target``, else XML."""

    def __init__(self, code: str, message: str, *, as_json: bool) -> None:
        super().__init__()
        self.code = 400 if as_json else 403
        if as_json:
            code = {"AccessDenied": "AccessDeniedException", "InvalidClientTokenId": "UnrecognizedClientException"}.get(
                code, code
            )
            self.description = json.dumps({"__type": code, "message": message})
        else:
            error = f"<Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
            self.description = f"<ErrorResponse>{error}<RequestId></RequestId></ErrorResponse>"


class _RootKey:
    """The credentials of the account itself; only the sandbox's own set-up holds them."""

    def __init__(self, account_id: str, partition: str) -> None:
        self.arn = f"arn:{partition}:iam::{account_id}:root"

    def create_credentials(self) -> Credentials:
        return Credentials(ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)


def _access_key(account_id: str, partition: str, access_key_id: str, headers: Any) -> Any:
    if access_key_id == ROOT_ACCESS_KEY_ID:
        return _RootKey(account_id, partition)
    return _moto_access_key(account_id, partition, access_key_id, headers)


def _authorize(self: Any, iam_request_class: type, resource: str = "*") -> None:
    """Return if the request may proceed; else raise what the service answers. ``resource`` is moto's guess, used for S3 only."""
    account = iam_backends[self.current_account][self.partition]
    if all(user.name != conventions.DEPLOYER for user in account.users.values()):
        return
    s3 = iam_request_class is access_control.S3IAMRequest
    if "Authorization" not in self.headers:
        raise _refusal(self, "MissingAuthenticationToken", "Request is missing Authentication Token", s3=s3)
    request = _authenticated(self, iam_request_class)
    caller, (service, _, operation) = request._access_key, request._action.partition(":")
    action = f"{_IAM_PREFIXES.get(service, service)}:{operation}"
    if isinstance(caller, _RootKey) or action in _ALWAYS_ALLOWED:
        return
    denied = f"User: {caller.arn} is not authorized to perform: {action}"
    try:
        for asked in (s3_resource(self, resource),) if s3 else resources_asked(self, action):
            if not _allows(account, caller, action, asked):
                raise _refusal(self, "AccessDenied", f"{denied} on resource: {asked.arn or '(not known)'}", s3=s3)
    except UnevaluatedElementError as unknown:
        message = f"{denied} because a policy uses what the sandbox does not evaluate: {unknown}"
        raise _refusal(self, "AccessDenied", message, s3=s3) from unknown


def _authenticated(self: Any, iam_request_class: type) -> Any:
    """The request as moto reads it, its signature checked; S3 has errors of its own, which pass through."""
    path = self.raw_path + (f"?{self.parsed_url.query}" if self.parsed_url.query else "")
    try:
        request = iam_request_class(
            account_id=self.current_account, method=self.method, path=path, data=self.data, body=self.raw_body,
            headers=self.headers, action=self._get_action(),
        )  # fmt: skip
        request.check_signature()
    except (InvalidClientTokenIdError, SignatureDoesNotMatchError) as error:
        raise _refusal(self, error.error_type, error.message, s3=False) from error
    return request


def _allows(account: IAMBackend, caller: Any, action: str, asked: Asked) -> bool:
    principals = {caller.arn}
    if isinstance(caller, access_control.AssumedRoleAccessKey):
        role = account.get_role(caller._owner_role_name)
        principals.add(role.arn)
        bounded = role.permissions_boundary_arn
    else:
        bounded = getattr(account.get_user(caller._owner_user_name), "permissions_boundary_arn", None)
    if bounded:
        message = "a permission boundary"
        raise UnevaluatedElementError(message)
    request = Request(principals=frozenset(principals), account=caller.account_id, action=action, resource=asked.arn)
    return permitted(request, identity=map(_document, caller.collect_policies()), resource=asked.policy)


def _document(policy: Any) -> str:
    """The text of a policy in any of the shapes in which moto keeps them."""
    if isinstance(policy, str):
        return policy
    if isinstance(policy, dict):
        return str(policy["policy_document"])
    return str(next(version.document for version in policy.versions if version.is_default))


def _refusal(self: Any, code: str, message: str, *, s3: bool) -> Exception:
    return S3AccessDeniedError() if s3 else _RefusalError(code, message, as_json="X-Amz-Target" in self.headers)
