"""Permission boundaries of users, and of roles only where the policy exists.

AWS: `PutUserPermissionsBoundary`, `DeleteUserPermissionsBoundary`, and the argument of `CreateUser`
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html). moto has
boundaries of roles only, and lets one name a policy that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import User
from moto.iam.responses import IamResponse


def install() -> None:
    """Give users boundaries, and refuse one that does not exist."""
    user: Any = User
    user.permissions_boundary_arn = None
    user.permissions_boundary = property(_shown)
    response: Any = IamResponse
    response.put_user_permissions_boundary = _put
    response.delete_user_permissions_boundary = _delete
    response.create_user = _with_boundary(response.create_user)
    for operation in ("create_role", "put_role_permissions_boundary"):
        setattr(response, operation, _with_known_boundary(getattr(response, operation)))


def _shown(self: Any) -> dict[str, str] | None:
    if self.permissions_boundary_arn is None:
        return None
    return {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": self.permissions_boundary_arn,
    }


def _put(self: Any) -> ActionResult:
    user = self.backend.get_user(self._get_param("UserName"))
    user.permissions_boundary_arn = _known(self)
    return EmptyResult()


def _delete(self: Any) -> ActionResult:
    self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = None
    return EmptyResult()


def _with_boundary(create_user: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def answer(self: Any) -> ActionResult:
        boundary = _known(self)
        result: Any = create_user(self)
        result.result["User"].permissions_boundary_arn = boundary
        return ActionResult(result.result)

    return answer


def _with_known_boundary(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def answer(self: Any) -> Any:
        _known(self)
        return operation(self)

    return answer


def _known(self: Any) -> str | None:
    """The boundary that the request names. Raises NoSuchEntity if there is no such policy."""
    arn = self._get_param("PermissionsBoundary")
    return None if arn is None else str(self.backend.get_policy(arn).arn)
