"""Measurements of this machine and of the package on it, one module each: `tinylm bench NAME`."""
