"""Screenshots of the app, taken by `make screenshots`."""
