"""The entries of the provider's table: a resource type is its properties and four calls to AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localaws.provider.clients import Aws, code_of, is_gone
from localaws.provider.sameness import equal
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties


@dataclass(frozen=True, kw_only=True)
class Property:
    """An input of a resource type or function.

    ``replaces``: AWS cannot change it in place. ``local``: AWS does not keep it; it steers the
    provider only. ``default``: filled in by Check, so that a refresh sees when AWS says otherwise.
    ``computed``: where the program says nothing, AWS does, and that is no difference (upstream:
    Optional and Computed). ``moves``: outputs that change with it, so that a preview does not
    promise their old values. ``secret``: never in clear text in the state, also when it was not
    declared so (an import). ``same``: whether two values mean the same. ``agrees``: see
    :meth:`holds`.
    """

    required: bool = False
    default: Any = None
    replaces: bool = False
    local: bool = False
    computed: bool = False
    secret: bool = False
    moves: tuple[str, ...] = ()
    same: Callable[[Any, Any], bool] = equal
    agrees: Callable[[Any, Properties], bool] | None = None

    def holds(self, value: Any, found: Properties) -> bool:
        """Whether ``value`` of a local property may still be what AWS has.

        ``found``: what AWS says of the resource.
        """
        return self.agrees is None or value is None or self.agrees(value, found)


class HalfMadeError(Exception):
    """A resource exists, but a later step of its creation failed.

    ``__cause__`` says why, ``identifier`` is its id.
    """

    def __init__(self, identifier: str) -> None:
        super().__init__(identifier)
        self.identifier = identifier


@contextmanager
def unfinished(identifier: str) -> Iterator[None]:
    """Mark the later steps of a ``create``.

    If one fails, the resource is recorded as it is and the next `up` goes on with it.

    Raises :class:`HalfMadeError`.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise HalfMadeError(identifier) from error


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A resource type.

    ``acts``: the emulator behaves as AWS does, else it only stores what was declared. ``create``
    returns the id; what it does after the resource exists stands in ``with unfinished(id)``.
    ``read`` returns properties from AWS alone, or None if the resource is gone; an error that says
    so (``gone`` adds codes of this type) counts as None. ``update`` gets the id, the inputs that
    would lead to what AWS has now, and those that are wanted, so that it also finishes an
    interrupted change. ``delete`` need not check first whether the resource exists. A type without
    ``update`` has only replacing or local inputs. With ``tagging`` a type has ``tags``, which are
    read and changed here; ``create`` still passes them on. ``named_by``: the input that must be
    free before the resource is made anew.
    """

    kind: str
    acts: bool
    inputs: Mapping[str, Property]
    outputs: tuple[str, ...]
    create: Callable[[Aws, Properties], str]
    read: Callable[[Aws, str], Properties | None]
    delete: Callable[[Aws, str, Properties], Any]
    update: Callable[[Aws, str, Properties, Properties], Any] | None = None
    named_by: str | None = None
    regional: bool = True
    tagging: Tagging | None = None
    gone: frozenset[str] = frozenset()
    all_inputs: Mapping[str, Property] = field(init=False)
    all_outputs: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inputs = dict(self.inputs)
        if self.tagging is not None:
            inputs.setdefault("tags", Property())
        object.__setattr__(self, "inputs", inputs)
        # As in the official plugin, Check works out tagsAll: the program's tags over the provider's
        # default ones.
        merged = {"tagsAll": Property()} if "tags" in inputs else {}
        region = {"region": Property(replaces=True)} if self.regional else {}
        object.__setattr__(self, "all_inputs", {**inputs, **merged, **region})
        object.__setattr__(
            self, "all_outputs", tuple(dict.fromkeys([*self.outputs, *merged, *region]))
        )

    def found(self, aws: Aws, identifier: str) -> Properties | None:
        """Return every property that AWS has of the resource; None if it does not exist."""
        try:
            properties = self.read(aws, identifier)
            if properties is None:
                return None
            if self.tagging is not None and "tags" not in properties:
                properties = {
                    **properties,
                    "tags": self.tagging.of(aws, str(properties[self.tagging.by])),
                }
        except ClientError as error:
            if self._says_gone(error):
                return None
            raise
        if "tags" in properties:
            properties["tagsAll"] = properties["tags"]
        return {**properties, "region": aws.region} if self.regional else properties

    def change(
        self, aws: Aws, identifier: str, found: Properties, old: Properties, new: Properties
    ) -> None:
        """Change the resource from ``found``, what AWS says it is, to ``new``.

        ``old``: the inputs that would lead to it as it is.
        """
        if self.update is not None:
            self.update(aws, identifier, old, new)
        if self.tagging is not None:
            self.tagging.sync(aws, str(found[self.tagging.by]), found.get("tags"), new.get("tags"))

    def remove(self, aws: Aws, identifier: str, properties: Properties) -> None:
        """Remove the resource; one that is gone already is fine."""
        try:
            self.delete(aws, identifier, properties)
        except ClientError as error:
            if not self._says_gone(error):
                raise

    def _says_gone(self, error: ClientError) -> bool:
        return is_gone(error) or code_of(error) in self.gone


@dataclass(frozen=True, kw_only=True)
class Function:
    """A data source: what it takes and how AWS answers it."""

    kind: str
    inputs: Mapping[str, Property]
    call: Callable[[Aws, Properties], Properties]
    regional: bool = True

    @property
    def all_inputs(self) -> Mapping[str, Property]:
        """Declared inputs, and ``region`` for a regional one."""
        return {**self.inputs, "region": Property()} if self.regional else self.inputs
