"""Measurements of this machine and of the package on it; each writes to `results/bench/`."""
