"""From a declared grid to its records: expand it, skip what is recorded, run the rest."""
