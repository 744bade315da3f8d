"""What no `pulumi up` may make.

Forbidden desired states, and a stack that lacks what the policy demands.

In: every resource as the program declares it. Out: a refusal for each that may not be, all at once.
The rules are pure and know nothing of Pulumi; ``gate`` holds every registration back until the
whole program has been judged, so that a refused program makes nothing.
"""
