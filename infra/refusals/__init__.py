"""What no `pulumi up` may make: forbidden desired states, and a stack that lacks something.

In: every resource as the program declares it. Out: a line for each refusal, all at once. The rules
are pure and know nothing of Pulumi; ``gate`` holds every registration back until the whole program
has been judged, so that a refused program makes nothing. A new rule for single resources goes into
``judge``, ``keys``, ``identity`` or ``storage``, one about the whole stack into ``completeness``.
"""
