"""Pictures of the app, made by `make screenshots`."""
