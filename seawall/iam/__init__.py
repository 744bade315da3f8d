"""Policy documents of AWS: read, evaluated as IAM does, and compared; pure.

``permitted(Request(...), Policies(...))``, or ``decide`` for the reason of a refusal, answers one
request. A request names its :class:`Principal`, the action, the resource's ARN and the condition
keys that are present; policies are JSON texts. An element, operator, key or variable that is not
evaluated raises :class:`UnevaluatedElementError`, wherever in the documents it stands.

| module | what it has |
|---|---|
| ``documents`` | a policy document as it is written |
| ``request`` | a request, the policies that bear on it, the decision |
| ``evaluation`` | what all policies say together |
| ``patterns`` | text with wildcards and variables |
| ``principals`` | which callers Principal and NotPrincipal name |
| ``conditions``, ``condition_keys`` | the Condition element and the keys that are known |
| ``comparison`` | what a new version of a document allows that the old one did not |
| ``allowed_wildcards`` | the wildcards that policies of the stack may contain, with reasons |
"""

from seawall.iam.evaluation import decide, permitted
from seawall.iam.request import (
    Decision,
    Policies,
    Principal,
    Request,
    ResourcePolicy,
    ServicePrincipal,
    UnevaluatedElementError,
)

__all__ = [
    "Decision",
    "Policies",
    "Principal",
    "Request",
    "ResourcePolicy",
    "ServicePrincipal",
    "UnevaluatedElementError",
    "decide",
    "permitted",
]
