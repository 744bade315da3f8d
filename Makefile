# Every target runs within the environment that bin/seawall makes; nothing else needs to be installed.
# make turns every failure into exit code 2: gates call bin/seawall itself.

RUN := bin/seawall exec --
SIDE_BY_SIDE := -n 2

.PHONY: test check set-up lint types unit contract integration drill bench
.NOTPARALLEL:

test: set-up lint types unit contract integration drill ## everything

check: lint types unit ## the fast part: no sandbox, no external programs

set-up:
	$(RUN) python -m seawall.setup

lint:
	$(RUN) ruff check .

types:
	$(RUN) mypy

unit:
	$(RUN) pytest tests/unit $(SIDE_BY_SIDE)

contract:
	$(RUN) pytest tests/contract $(SIDE_BY_SIDE) -m "not drill"

integration:
	$(RUN) pytest tests/integration $(SIDE_BY_SIDE) -m "not drill"

# One after another, each alone on the machine: a neighbour would be part of what is measured.
drill:
	$(RUN) pytest tests -m drill -p no:xdist

# Alone on the machine, too; no test, for it judges the machine as well. OUT=DIR also writes the figures and a plot.
bench:
	$(RUN) python -m benchmarks.stack $(if $(OUT),--out $(OUT))
