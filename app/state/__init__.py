"""What the app knows, with no widget in it."""
