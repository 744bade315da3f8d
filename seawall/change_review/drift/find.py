"""Ask the engine, then S3 for what no engine compares."""

from __future__ import annotations

from seawall.change_review.drift.objects import heads, stored_objects, with_overwritten
from seawall.change_review.drift.refresh import Drift, read_refresh
from seawall.change_review.engine import Engine


def find_drift(engine: Engine) -> Drift:
    """What differs. Raises :class:`EvidenceError` if not everything could be compared.

    That is not known, and no absence of drift.
    """
    done = engine.run("refresh", "--preview-only", "--json", "--suppress-permalink=true")
    drift = read_refresh(done.out, exit_code=done.exit_code, complaint=done.complaint)
    stored = stored_objects(done.out)
    return with_overwritten(drift, stored, heads(engine.environment)) if stored else drift
