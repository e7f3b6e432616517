"""A side's conversation, drawn as lines without a widget per turn: cost does not grow with its length."""
