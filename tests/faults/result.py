"""The result of a campaign: what was tried, and what was lost."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Result:
    """One line of the table."""

    name: str
    tried: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)
    """What went wrong, one line each."""

    def count(self, problem: str) -> None:
        """Count one attempt; an empty problem means that it survived."""
        self.tried += 1
        if problem:
            self.lost.append(problem)
        else:
            self.survived += 1
