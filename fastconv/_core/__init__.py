"""What every room stands on: memory, argument checks, geometry, threads, random numbers."""
