"""What became of a stack's processes, as its supervisor publishes it beside the deployment file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from seawall.errors import WorldError
from seawall.formats.atomic import write_private

COMPONENTS_FILE = "components.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComponentStatus(_Part):
    """What became of a process, also if it was started again.

    ``exit_code`` is None while it runs. The others are set once it died by itself, and stay:
    ``died_at`` (Unix seconds), ``died_with`` (its exit code) and ``log_tail`` are of its last
    death, ``deaths`` and ``restarts`` count them and the starts that answered them.
    """

    name: str
    pid: int
    exit_code: int | None
    died_at: float | None
    log_tail: str | None
    died_with: int | None = None
    deaths: int = 0
    restarts: int = 0

    def after(self, former: ComponentStatus) -> ComponentStatus:
        """Of a process that was started again, with the deaths of ``former``, the one before it."""
        last = former if self.died_at is None else self
        return self.model_copy(
            update={
                "died_at": last.died_at,
                "died_with": last.died_with,
                "log_tail": last.log_tail,
                "deaths": self.deaths + former.deaths,
                "restarts": former.restarts + 1,
            }
        )


class _Components(_Part):
    components: list[ComponentStatus]


def write_components(data_dir: Path, components: Sequence[ComponentStatus]) -> None:
    """Publish the state of the stack's processes, in the order of their start."""
    document = _Components(components=list(components))
    write_private(data_dir / COMPONENTS_FILE, document.model_dump_json(indent=1) + "\n")


def read_components(data_dir: Path) -> list[ComponentStatus]:
    """The state of the stack's processes; empty if it is not published.

    Raises :class:`WorldError` for a file that is malformed.
    """
    path = data_dir / COMPONENTS_FILE
    try:
        return _Components.model_validate_json(path.read_text(encoding="utf-8")).components
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise WorldError(f"{path} cannot be read: {error}") from error
