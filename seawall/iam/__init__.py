"""IAM as AWS evaluates it, in two halves.

Pure, and what the Pulumi program's tests and the segregation drill may rely on:
``permitted(Request(...), Policies(...))``, or ``decide`` for the reason of a refusal. A request
names its :class:`Principal`, the action, the resource's ARN and the condition keys that are
present; policies are JSON texts. Nothing of moto is imported for it. An element, operator, key or
variable that is not evaluated raises :class:`UnevaluatedElementError`, wherever in the documents it
stands.

| module | noun |
|---|---|
| ``request`` | the request, the policies that bear on it, the decision |
| ``documents`` | a policy document, read and checked as a whole |
| ``patterns`` | text with wildcards and variables |
| ``principals`` | whom Principal and NotPrincipal name |
| ``keys``, ``operators``, ``conditions`` | the Condition element |
| ``evaluation`` | what all policies say together |

On moto: ``enforcement`` judges every request; ``callers`` says who signed it, ``call`` what it
asks, ``resources`` of which resources, ``passed_roles`` what else that needs, ``context`` under
which conditions; ``sessions`` and ``boundaries`` are what moto does not keep.
"""

from seawall.iam.evaluation import decide, permitted
from seawall.iam.request import (
    Decision,
    Policies,
    Principal,
    Request,
    ResourcePolicy,
    UnevaluatedElementError,
)

__all__ = [
    "Decision",
    "Policies",
    "Principal",
    "Request",
    "ResourcePolicy",
    "UnevaluatedElementError",
    "decide",
    "permitted",
]
