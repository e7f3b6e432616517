"""Choose a text file that goes with the prompt."""

from __future__ import annotations

from app.screens.file import FileScreen, RefusedError
from app.state.conversation.attachment import Attachment, AttachmentError, read_attachment

HOW = "A text file in UTF-8, up to 1 MiB. Tab completes, Enter attaches."


class AttachScreen(FileScreen[Attachment]):
    """The result is the file with its text, or None after Esc."""

    def __init__(self, folder: str = "") -> None:
        """Begin in a folder, or else in the one where the app was started."""
        super().__init__("Attach a text file", HOW, folder)

    def taken(self, path: str) -> Attachment:
        """The text, read."""
        try:
            return read_attachment(path)
        except AttachmentError as error:
            raise RefusedError(str(error)) from error
