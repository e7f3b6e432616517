"""From an engine of the playground to a server: command lines, a compose file, a model repository."""
