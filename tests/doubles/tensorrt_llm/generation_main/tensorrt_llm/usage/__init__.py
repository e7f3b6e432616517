"""Telemetry, which the double does not send."""
