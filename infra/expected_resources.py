"""The list of the resources that a stack of a policy must declare, as a text file; pure.

One line per resource, sorted: the type's token, the logical name, and the properties that are
compared. A resource that is dropped, renamed or moved is one changed line in a review. The head
says how many resources follow, so that a file that was cut off is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_COUNT = re.compile(r"^# (\d+) resources:", re.MULTILINE)
_PROTECTED = "protected"
_REGION = "region="


@dataclass(frozen=True, order=True, kw_only=True)
class ExpectedResource:
    """One resource that must be declared.

    Args:
        kind: the type's token, such as ``aws:kms/key:Key``.
        name: the logical name.
        region: where it must be; empty for a global resource, and a word in angle brackets where
            the stack's settings decide, which is not compared.
        protected: whether a protected stack must protect it from deletion.
    """

    kind: str
    name: str
    region: str = ""
    protected: bool = False

    def __str__(self) -> str:
        region = [f"{_REGION}{self.region}"] if self.region else []
        return " ".join([self.kind, self.name, *region, *([_PROTECTED] if self.protected else [])])

    @property
    def region_is_fixed(self) -> bool:
        """Whether the policy alone decides the region."""
        return bool(self.region) and not self.region.startswith("<")


def written(resources: Iterable[ExpectedResource]) -> str:
    """The text of the file, without the comment lines that say where it comes from.

    Raises ValueError if a resource could not be read back, or is listed twice.
    """
    listed = sorted(resources)
    count = (
        f"# {len(listed)} resources: type, logical name, region,"
        " and whether a protected stack protects it.\n"
    )
    text = count + "".join(f"{resource}\n" for resource in listed)
    if list(parse(text)) != listed:
        raise ValueError("a type, name or region contains a blank")
    return text


def parse(text: str) -> tuple[ExpectedResource, ...]:
    """The resources in the text of a file.

    Raises ValueError for a line that is none, a resource listed twice, an empty list, or a number
    of lines that is not the one in the head.
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = tuple(_resource(line) for line in lines)
    names = {(resource.kind, resource.name) for resource in found}
    count = _COUNT.search(text)
    if count is None:
        raise ValueError("its head does not say how many resources it lists")
    if not found or len(found) != int(count[1]):
        raise ValueError(f"it lists {len(found)} resources, and its head says {count[1]}")
    if len(names) != len(found):
        raise ValueError("it lists a resource twice")
    return found


def _resource(line: str) -> ExpectedResource:
    kind, name, *properties = line.split() if " " in line else (line, "")
    regions = [each.removeprefix(_REGION) for each in properties if each.startswith(_REGION)]
    others = [each for each in properties if not each.startswith(_REGION)]
    nameless = not name or name == _PROTECTED or name.startswith(_REGION)
    if nameless or len(regions) > 1 or others not in ([], [_PROTECTED]):
        raise ValueError(f"{line!r} is no resource")
    return ExpectedResource(
        kind=kind, name=name, region=regions[0] if regions else "", protected=bool(others)
    )
