"""AWS on one machine: a moto server, corrected where moto leaves out or gets wrong what AWS does.

In: ``python -m localaws.emulator --port N``. Out: one HTTP endpoint that answers for every Region,
which it reads from the signature of a request. What acts and what is only stored is listed in
``localaws/README.md``; each module of ``services`` cites what AWS does.
"""
