"""Facts, estimates and support that are known before an engine is built."""
