"""Choose a text file to attach to the prompt."""

from __future__ import annotations

from app.screens.file import FileScreen, RefusedError
from app.state.conversation.attachment import Attachment, AttachmentError, read_attachment

INSTRUCTIONS = "A UTF-8 text file of up to 1 MiB. Tab completes, Enter attaches."


class AttachScreen(FileScreen[Attachment]):
    """Returns the file's name and text, or None after Esc."""

    def __init__(self, folder: str = "") -> None:
        """Start in `folder`, or in the working directory if it is empty."""
        super().__init__("Attach a text file", INSTRUCTIONS, folder)

    def read(self, path: str) -> Attachment:
        """Read the file.

        Raises:
            RefusedError: it cannot be read, is too large, or is not UTF-8 text.
        """
        try:
            return read_attachment(path)
        except AttachmentError as error:
            raise RefusedError(str(error)) from error
