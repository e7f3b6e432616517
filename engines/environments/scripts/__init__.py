"""Programs for the interpreters of environments, which lack this package: run by path, not imported."""
