"""The book: notebook pairs checked and executed, pages built, checked and served."""


class BookError(RuntimeError):
    """The book cannot be made from what is there: one message that names the page or notebook."""
