"""What can go wrong for a user, told apart so that code never has to read a message.

Each message is one sentence that names the field, the value and what was expected. The command line
prints it and exits with code 2; nothing has been written by then.
"""


class TinyLMError(ValueError):
    """The base of all: caught where a failure is told, and nowhere to go on in silence."""


class BadInput(TinyLMError):
    """What the user gave is wrong: a name, a number, a table, a configuration."""


class TooFewWords(BadInput):
    """A text has not the words for a vocabulary of the size that was asked for."""


class Missing(TinyLMError):
    """Something is not there (yet): a record, a model, a corpus, a package."""


class Damaged(TinyLMError):
    """A file is not what was written there, or does not belong to what it is used with."""


class CannotWrite(TinyLMError):
    """The disk is full, or a folder cannot be written."""
