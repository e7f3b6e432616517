"""Runs models: plans, builds, workers, measures and backends. No terminal code; usable as a library."""
