"""The models that can be chosen: on this disk, suggested, found on the hub."""
