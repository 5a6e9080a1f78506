"""Measurements of this machine and of the package on it, one module each: `python -m
tinylm.bench.NAME` runs one, `tinylm bench` (`make bench`) all. Each writes a CSV to
`results/bench/` and what it found to `results/bench/summary.json`.
"""
