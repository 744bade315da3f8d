"""The condition keys whose value is known for every request, absence included.

Any other key in a policy is an error. Global keys:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html; keys of a
service: its page in https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from __future__ import annotations

_ALWAYS_ABSENT = frozenset(
    {
        "aws:sourcearn",
        "aws:sourceaccount",
        "aws:sourceowner",
        "aws:sourceorgid",  # only where a service calls for a resource
        "aws:principalservicename",
        "kms:viaservice",  # only where a service calls
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:vpcsourceip",  # only through an endpoint of a VPC
        "aws:principalorgid",
        "aws:resourceorgid",  # the sandbox's account is in no organization
        "aws:multifactorauthage",  # there are no second factors
        "s3:dataaccesspointarn",
    }
)
_OF_THE_CALLER = frozenset(
    {
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principaltype",
        "aws:userid",
        "aws:username",
        "aws:tokenissuetime",
        "aws:multifactorauthpresent",
        "aws:principalisawsservice",
        "aws:viaawsservice",
        "aws:sourceip",
    }
)
_OF_THE_REQUEST = frozenset(
    {
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:currenttime",
        "aws:epochtime",
    }
)
_OF_A_SERVICE = frozenset(
    {
        "kms:bypasspolicylockoutsafetycheck",
        "kms:calleraccount",
        "kms:grantisforawsresource",
        "kms:granteeprincipal",
        "kms:keyorigin",
        "kms:keyspec",
        "kms:keyusage",
        "kms:messagetype",
        "kms:multiregion",
        "kms:multiregionkeytype",
        "kms:primaryregion",
        "kms:replicaregion",
        "kms:requestalias",
        "kms:retiringprincipal",
        "kms:schedulekeydeletionpendingwindowindays",
        "kms:signingalgorithm",
        "iam:passedtoservice",
        "iam:permissionsboundary",
        "iam:policyarn",
        "iam:awsservicename",
        "sts:externalid",
        "sts:rolesessionname",
        "s3:authtype",
        "s3:delimiter",
        "s3:locationconstraint",
        "s3:max-keys",
        "s3:object-lock-legal-hold",
        "s3:object-lock-mode",
        "s3:object-lock-remaining-retention-days",
        "s3:object-lock-retain-until-date",
        "s3:prefix",
        "s3:resourceaccount",
        "s3:signatureversion",
        "s3:tlsversion",
        "s3:versionid",
        "s3:x-amz-acl",
        "s3:x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "sns:endpoint",
        "sns:protocol",
        "secretsmanager:secretid",
        "secretsmanager:versionid",
        "secretsmanager:versionstage",
        "secretsmanager:name",
        "secretsmanager:kmskeyid",
        "secretsmanager:recoverywindowindays",
        "secretsmanager:forcedeletewithoutrecovery",
        "secretsmanager:blockpublicpolicy",
        "cloudwatch:namespace",
        "ecs:cluster",
        "ssm:overwrite",
        "ssm:recursive",
    }
)
_SINGLE = _ALWAYS_ABSENT | _OF_THE_CALLER | _OF_THE_REQUEST | _OF_A_SERVICE

_MULTIVALUED = frozenset(
    {
        "aws:tagkeys",
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "kms:resourcealiases",
        "kms:encryptioncontextkeys",
        "kms:grantoperations",
        "sts:transitivetagkeys",
    }
)
_NAMED = (
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
    "ec2:resourcetag/",
    "iam:resourcetag/",
    "secretsmanager:resourcetag/",
    "ssm:resourcetag/",
    "kms:encryptioncontext:",
)
"""What follows is the key of a tag, or of an encryption context."""

_NO_VARIABLE = frozenset({"aws:currenttime", "aws:epochtime", "aws:tokenissuetime"})
"""Times are not usable as variables: they change between the request and its evaluation."""


def is_known(key: str) -> bool:
    """Whether the value of ``key``, given in lower case, is known."""
    return key in _SINGLE or key in _MULTIVALUED or key.startswith(_NAMED)


def is_multivalued(key: str) -> bool:
    """Whether AWS calls ``key`` multivalued, so that it needs ForAllValues or ForAnyValue."""
    return key in _MULTIVALUED


def is_variable(key: str) -> bool:
    """Whether ``${key}`` is evaluated."""
    return is_known(key) and key not in _NO_VARIABLE
