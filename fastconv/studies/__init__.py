"""Experiments of many runs: planned, run, gone on with, and summed up."""
