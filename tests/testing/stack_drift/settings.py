"""Changes outside the stack in Secrets Manager and Systems Manager."""

from __future__ import annotations

from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, stray

SECRET, PARAMETER = "aws:secretsmanager/secret:Secret", "aws:ssm/parameter:Parameter"


def describe_secret(account: Account, secret: Resource) -> str:
    account.of(secret, "secretsmanager").update_secret(SecretId=secret.id, Description="theirs")
    return "theirs"


def put_secret_policy(account: Account, secret: Resource) -> str:
    manager = account.of(secret, "secretsmanager")
    document = manager.get_resource_policy(SecretId=secret.id)["ResourcePolicy"]
    manager.put_resource_policy(SecretId=secret.id, ResourcePolicy=stray(document))
    return "Stray"


def tag_secret(account: Account, secret: Resource) -> str:
    tags = [{"Key": "owner", "Value": "mallory"}]
    account.of(secret, "secretsmanager").tag_resource(SecretId=secret.id, Tags=tags)
    return "mallory"


def put(said: Any = None, **change: Any) -> Any:
    """Write a parameter over: what is not named stays, the value must be named."""

    def how(account: Account, parameter: Resource) -> Any:
        ssm = account.of(parameter, "ssm")
        now = ssm.get_parameter(Name=parameter.id)["Parameter"]
        ssm.put_parameter(
            **{
                "Name": parameter.id,
                "Value": now["Value"],
                "Type": now["Type"],
                "Overwrite": True,
                **change,
            }
        )
        return said

    return how


def tag_parameter(account: Account, parameter: Resource) -> str:
    account.of(parameter, "ssm").add_tags_to_resource(
        ResourceType="Parameter",
        ResourceId=parameter.id,
        Tags=[{"Key": "owner", "Value": "mallory"}],
    )
    return "mallory"


CHANGES = (
    Change(kind=SECRET, leaf="description", how=describe_secret),
    Change(kind=SECRET, leaf="policy", how=put_secret_policy),
    Change(kind=SECRET, leaf="tags", how=tag_secret),
    Change(kind=PARAMETER, leaf="allowedPattern", how=put(".*", AllowedPattern=".*")),
    Change(kind=PARAMETER, leaf="description", how=put("theirs", Description="theirs")),
    Change(kind=PARAMETER, leaf="tags", how=tag_parameter),
    Change(kind=PARAMETER, leaf="type", how=put("SecureString", Type="SecureString")),
    Change(kind=PARAMETER, leaf="value", how=put("[secret]", Value="stopped")),
)
REMOVALS = (
    Removal(
        kind=SECRET,
        how=lambda account, each: account.of(each, "secretsmanager").delete_secret(
            SecretId=each.id, ForceDeleteWithoutRecovery=True
        ),
    ),
    Removal(
        kind=PARAMETER,
        how=lambda account, each: account.of(each, "ssm").delete_parameter(Name=each.id),
    ),
)
