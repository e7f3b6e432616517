"""Text from models, checkpoints, files and servers, made safe to show: see `engines.displayable`."""

from engines.displayable import displayable

__all__ = ["displayable"]
