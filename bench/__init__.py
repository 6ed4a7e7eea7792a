"""Timing fastconv: alone (`pytest --benchmark-only`) and beside its peers (`bench.compare`)."""
