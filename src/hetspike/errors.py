"""The one exception meant for people: what is wrong, in which file or key, and what to do."""


class UserError(Exception):
    """Bad input: shown as one line without a traceback, and the process exits non-zero."""
