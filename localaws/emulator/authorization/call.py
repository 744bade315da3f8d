"""One call of an AWS operation, read by botocore's service models, whatever its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.utils import get_service_model

_TAGS = ("Tags", "tags", "TagsList", "BackupVaultTags", "BackupPlanTags", "AddTags")
_TAG_KEYS = ("TagKeys", "tagKeys", "TagKeyList", "RemoveTagKeys")


class ApiCall:
    """A request to one service.

    ``service``: its prefix in policies. ``operation``: its name in the service's API.
    """

    def __init__(self, response: Any, *, service: str, operation: str) -> None:
        self.response = response
        self.service = service
        self.operation = operation
        self.region = str(response.region)
        self.account = str(response.current_account)
        self.partition = str(response.partition)

    @property
    def action(self) -> str:
        """The operation as policies name it."""
        return f"{self.service}:{self.operation}"

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The arguments, under the names of the service's model.

        Empty for S3, which is read elsewhere.
        """
        response = self.response
        if "X-Amz-Target" in response.headers:
            found = json.loads(response.raw_body or b"{}")
            return found if isinstance(found, dict) else {}
        if self.service == "s3":
            return {}
        request = response.normalized_request
        model = get_service_model(response.boto3_service_name)
        parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](
            model.operation_model(self.operation), map_type=dict
        )
        parsed: Any = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.data,
                "url_path": request.path,
                "url_params": response.uri_match,
            }
        )
        return dict(parsed or {})

    def values(self, path: str) -> list[str]:
        """The texts at ``path``: members are joined by dots, and lists are descended into."""
        return list(_texts(self.parameters, path.split(".")))

    def value(self, path: str) -> str | None:
        """The first of :meth:`values`."""
        return next(iter(self.values(path)), None)

    def arn(self, template: str, value: str = "") -> str:
        """An ARN: ``template`` with {region}, {account} and {value} filled in."""
        filled = template.format(region=self.region, account=self.account, value=value)
        return f"arn:{self.partition}:{filled}"

    @cached_property
    def request_tags(self) -> Mapping[str, str]:
        """The tags that the request would set."""
        tags: dict[str, str] = {}
        for name in _TAGS:
            given = self.parameters.get(name)
            if isinstance(given, Mapping):
                tags.update({str(key): str(value) for key, value in given.items()})
            for tag in given if isinstance(given, list) else ():
                pair = {key.lower().removeprefix("tag"): value for key, value in tag.items()}
                tags[pair["key"]] = pair.get("value", "")
        return tags

    @cached_property
    def tag_keys(self) -> tuple[str, ...]:
        """The keys of the tags that the request would set or remove."""
        removed = [key for name in _TAG_KEYS for key in self.parameters.get(name) or ()]
        return (*self.request_tags, *removed)


def _texts(tree: Any, path: list[str]) -> Iterator[str]:
    if isinstance(tree, list):
        for one in tree:
            yield from _texts(one, path)
    elif path and isinstance(tree, Mapping):
        if tree.get(path[0]) is not None:
            yield from _texts(tree[path[0]], path[1:])
    elif not path:
        yield str(tree).lower() if isinstance(tree, bool) else str(tree)
