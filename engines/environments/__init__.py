"""Environments of backends whose libraries collide with ours: found, made, tested and removed."""
