"""What a scenario is made of."""

import dataclasses

# What a peer may say of a connection that broke.
REASONS = ("silence", "network-down", "peer", "relay-lost", "transport")

# Sequences of events that a side may have.
QUIET = ()
HEALED = ("broken", "restored")
LOST = ("broken", "removed")


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that is done, at a time after data flows both ways.

    `do` is natlab.sh's words, or one of ("rendezvous", "kill"|"start") and ("signal", SIDE, NAME).
    `mark` says what it means: "outage" from here on nothing passes, "usable" from here on it could
    again, "change" both at once.
    """

    at_s: float
    do: tuple
    mark: str = ""


@dataclasses.dataclass(frozen=True)
class Expect:
    """Of one side. Times are limits; None: nothing is said about it."""

    events: tuple = (HEALED,)
    reasons: tuple = ("silence",)
    detect_ms: float = None  # outage → broken
    restore_ms: float = None  # usable → restored; change → restored, or data again
    gap_ms: float = None  # between two messages that came
    removed_ms: tuple = None  # least and most, broken → removed
    direct: bool = False  # the first way takes a relay, and the last one does not
    end: str = "finished"  # or "removed", with an error, or "killed"


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    text: str
    steps: tuple
    a: Expect
    b: Expect
    nats: tuple = ("port", "port")
    delay_ms: int = 5  # of each side's wire, one way: the peers' round trip is four of it
    uplink: bool = False  # host a gets its second router before the start; its interface is down
    turn: bool = False
    turns: tuple = ()  # instead: TURN servers at these addresses of pub, 10 and 11, in this order
    turn_transport: str = "udp"  # to those
    blocked: bool = False  # from the start, between the two hosts without a relay
    peer: tuple = ()  # options of both programs
    jitter_s: float = 0  # all steps are later by up to that, so that they meet any phase of a timer
    patience_s: float = 10  # after the last step, for what is expected
    settle_s: float = 2  # and then, for what is not
    busy: bool = False  # takes much of a core, or measures what a busy machine would spoil
    only: str = ""  # "test" or "bench", where it is too long or too short for the other

    @property
    def rtt_ms(self):
        return 4 * self.delay_ms

    @property
    def sides(self):
        return {"a": self.a, "b": self.b}

    @property
    def longest_s(self):
        """An upper bound, for a test's limit."""
        last = max((step.at_s for step in self.steps), default=0)
        return last + self.jitter_s + self.patience_s + self.settle_s + 120
