"""Set-up: from a clone and a bare Python to every part in place, and a doctor that says what is
missing.

What enters: the pins in ``tools/``. What leaves: a Python environment, the external programs
(`ensure`, `locate`), and the variables that put them within reach (`environment`).

Importing this package needs the standard library only: ``bootstrap`` runs before anything else
exists.
"""

from seawall.setup.location import Located, locate
from seawall.setup.programs import PROGRAMS, Program, format_version
from seawall.setup.progress import Step, shown
from seawall.setup.provision import ensure
from seawall.setup.shell import environment

__all__ = [
    "PROGRAMS",
    "Located",
    "Program",
    "Step",
    "ensure",
    "environment",
    "format_version",
    "locate",
    "shown",
]
