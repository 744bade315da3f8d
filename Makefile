# Every target runs within the environment that bin/seawall makes; nothing else is needed.
# make turns every failure into exit code 2: gates call bin/seawall itself.

RUN := bin/seawall exec --
PARTS := $(RUN) python -m tests.testing.parts
# A file stays with one worker, so its fixtures are set up once. Unit tests wait for short processes
# of their own now and then, so a third worker fills two cores.
SIDE_BY_SIDE := -n 2 --dist loadfile
OF_UNITS := -n 3 --dist loadfile
# Integration tests wait most of their time: for blocks, for leases, for processes that start. A
# fourth worker saves a minute of ten, and makes what has a bound of a second late.
OF_PARTS := -n 3 --dist loadfile --no-loadscope-reorder

# `make nightly` sets NIGHTLY: all tests, but those that passed on this commit before, in a nightly
# run or in `make test`.
ifdef NIGHTLY
SELECT := -p tests.testing.nightly
else
SELECT := -p tests.testing.nightly --again -m "not nightly"
endif

.PHONY: test check nightly set-up lint types unit contract simulation campaign integration drill bench
.NOTPARALLEL:

test: ## every check, and a test of each kind: 25 to 40 minutes on two cores; budget 20
	@$(PARTS) test

check: ## the fast part: no sandbox, no external programs; less than a minute
	@$(PARTS) check

nightly: ## every test: whole matrices and every repetition; about an hour, and resumes
	@$(PARTS) nightly

set-up:
	$(RUN) python -m seawall.setup

lint:
	$(RUN) ruff check .

types:
	$(RUN) python -m tests.testing.type_cache
	$(RUN) mypy

unit:
	$(RUN) pytest tests/unit $(OF_UNITS) $(SELECT)

contract:
	$(RUN) pytest tests/contract $(SIDE_BY_SIDE) $(SELECT)

# The tests of the simulation, and a campaign that is long enough to reach everything on its list.
simulation:
	$(RUN) pytest tests/simulation $(SIDE_BY_SIDE) $(SELECT)
	$(RUN) python -m tests.simulation.campaign --seeds 1000

# As long as you like: make campaign SEEDS=100000 [FIRST=1] [JSON=1]
campaign:
	$(RUN) python -m tests.simulation.campaign --seeds $(or $(SEEDS),10000) --first $(or $(FIRST),1) $(if $(JSON),--json)

# In the order of tests/integration/conftest.py, which starts the longest files first.
integration:
	$(RUN) pytest tests/integration $(OF_PARTS) $(SELECT)

# One after another, each alone on the machine: a neighbour would be part of what is measured.
drill:
	$(RUN) pytest tests/drill -p no:xdist $(SELECT)

# Alone on the machine, too; no test, for it judges the machine as well.
# OUT=DIR also writes the figures and a plot.
bench:
	$(RUN) python -m benchmarks.stack $(if $(OUT),--out $(OUT))
