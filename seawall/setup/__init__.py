"""Set-up: from a clone and a bare Python to every part in place.

What enters: the pins in ``tools/``. What leaves: a Python environment (`bootstrap`), the external
programs (`ensure`, `locate`), the variables that put them within reach (`environment`), and a
doctor that says what is missing.

Importing this package needs the standard library only: ``bootstrap`` runs before anything else
exists.
"""

from seawall.setup.build import ensure
from seawall.setup.programs import PROGRAMS, Located, Program, format_version, locate
from seawall.setup.progress import SetupProgress, shown
from seawall.setup.variables import environment

__all__ = [
    "PROGRAMS",
    "Located",
    "Program",
    "SetupProgress",
    "ensure",
    "environment",
    "format_version",
    "locate",
    "shown",
]
