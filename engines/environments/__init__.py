"""Environments of backends whose libraries conflict with those of the app: find, create, test, remove."""
