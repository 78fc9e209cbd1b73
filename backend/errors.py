"""The one exception family whose message is written for the person at the screen."""


class DermaFluxError(Exception):
    """What happened, to which file or field, and what to do about it, in one sentence."""
