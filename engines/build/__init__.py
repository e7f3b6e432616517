"""From a plan to an engine on disk."""
