"""One question a module: records in, a frozen answer out."""
