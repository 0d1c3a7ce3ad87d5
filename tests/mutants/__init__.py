"""`make mutants`: small changes to the pure parts, each of which their unit tests must notice."""
