"""How a run can come to nothing."""


class Failed(Exception):
    """The peer was started and did not do what was asked; the text is a clause that says so."""


class Skipped(Exception):
    """What is measured cannot be had on this machine, or means nothing for this peer."""
