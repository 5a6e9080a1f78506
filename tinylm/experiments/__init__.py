"""Experiments: declared grids of runs, the sweep that trains them, the report made from them."""
