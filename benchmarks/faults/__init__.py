"""Bad luck on purpose, around the real system: see `soak` for the long run, `tests/end_to_end` for the short ones.

Muster itself has no hooks for it: a proxy stands before its neighbours, its own ports are wrapped through
`shared.wiring.factory`, and it is killed from outside or at a named call of a port.
"""
