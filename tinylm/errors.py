"""The one exception for mistakes in what the user gave."""


class InputError(ValueError):
    """Bad input: its message is one sentence that names the field, the value and what was expected.

    The command line prints that sentence and exits with code 2; nothing has been written by then.
    """
