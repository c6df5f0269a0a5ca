"""Every scenario: what happens, and what is expected of both sides.

Host a is "alice", whose network is taken apart; host b is "bob", who has to find out. Alice's id is the
smaller one, so bob is ICE-controlling and the QUIC client.
"""

import dataclasses

from .model import HEALED, LOST, QUIET, Expect, Scenario, Step

# What this project is meant to reach.
DETECT_MS = 2000  # with the settings as they come
FAST_DETECT_MS = 300  # with ping-interval=100
RESTORE_MS = 1000  # and two round trips
GAP_MS = 50  # when another way was there before

DELAY_MS = 5
RTT_MS = 4 * DELAY_MS
HEALS_MS = RESTORE_MS + 2 * RTT_MS

# A packet each way and second, as an idle application's.
IDLE = ("--rate-kbit", "8", "--tell-gap-ms", "1200")
COMEBACK_MS = 3000

ANY_OUTAGE = ("silence", "network-down", "peer", "transport")
SUDDEN = ("silence", "peer")

NO_ALARM = Expect(events=(QUIET,), reasons=())
HEALS = Expect(reasons=ANY_OUTAGE, detect_ms=DETECT_MS, restore_ms=HEALS_MS)
SEES_SILENCE = dataclasses.replace(HEALS, reasons=SUDDEN)
# It may go on without a break, when the new path is there before the old one is missed.
MOVES = Expect(events=(QUIET, HEALED), reasons=ANY_OUTAGE, restore_ms=HEALS_MS)
# Nobody is told, so that the change is first noticed by the silence after it.
MOVES_UNTOLD = dataclasses.replace(MOVES, reasons=SUDDEN, restore_ms=DETECT_MS + HEALS_MS)
# A server that is killed says nothing, and the one that begins anew does not know the relay: the silence
# comes first. The side that has the relay in use is told then; the other one may not notice anything.
LOSES_RELAY = dataclasses.replace(MOVES_UNTOLD, reasons=(*SUDDEN, "relay-lost"))
# Another relay was ready. A server that is killed says nothing, so that what was sent to it is missed
# first: the silence, one round trip, and what the machine takes.
STANDS_BY = dataclasses.replace(NO_ALARM, gap_ms=DETECT_MS + RTT_MS)
GIVEN_UP = Expect(events=(LOST,), reasons=ANY_OUTAGE, detect_ms=DETECT_MS,
                  removed_ms=(COMEBACK_MS, COMEBACK_MS + 1000), end="removed")
KILLED = Expect(end="killed")
UPGRADED = dataclasses.replace(NO_ALARM, direct=True)


def natlab(at_s, words, mark=""):
    return Step(at_s, tuple(words.split()), mark)


def rendezvous(at_s, what):
    return Step(at_s, ("rendezvous", what))


def link_down(seconds, only=""):
    return Scenario(
        f"link-down-{seconds}", f"alice's interface is down for {seconds} s",
        (natlab(1, "link a down", "outage"), natlab(1 + seconds, "link a up", "usable")),
        HEALS, SEES_SILENCE, jitter_s=1, only=only)


def loss_20(name, seconds, only):
    return Scenario(name, f"one packet in five is lost for {seconds} s, both ways",
                    (natlab(1, "loss a 20"), natlab(1 + seconds, "loss a 0")), NO_ALARM, NO_ALARM,
                    only=only)


def silence(at_s, seconds):
    """Nothing passes alice's router, and nobody is told."""
    return (natlab(at_s, "loss a 100", "outage"), natlab(at_s + seconds, "loss a 0", "usable"))


OUTAGES = (
    Scenario("no-event", "nothing happens", (), NO_ALARM, NO_ALARM, settle_s=4,
             peer=("--unreliable",)),
    link_down(3),
    link_down(10),
    link_down(25, only="bench"),
    Scenario("cable-out", "alice's cable is out for 4 s; her address stays",
             (natlab(1, "cable a out", "outage"), natlab(5, "cable a in", "usable")),
             HEALS, SEES_SILENCE, jitter_s=1),
    Scenario("silence-idle", "all is lost for 5 s, while one message a second flows each way",
             silence(1, 5), SEES_SILENCE, SEES_SILENCE, peer=IDLE, jitter_s=1, settle_s=3),
    Scenario("silence-idle-100", "the same with ping-interval=100", silence(1, 3),
             dataclasses.replace(SEES_SILENCE, detect_ms=FAST_DETECT_MS),
             dataclasses.replace(SEES_SILENCE, detect_ms=FAST_DETECT_MS),
             peer=(*IDLE, "--ping-interval", "100"), jitter_s=1, settle_s=3),
    Scenario("link-down-bulk", "alice's interface is down for 3 s in a transfer of 20 Mbit/s each way",
             (natlab(1, "link a down", "outage"), natlab(4, "link a up", "usable")),
             HEALS, SEES_SILENCE, peer=("--rate-kbit", "20000", "--message-bytes", "16384"),
             busy=True),
    Scenario("link-down-relay", "alice's interface is down for 3 s; both are behind symmetric NATs",
             (natlab(1, "link a down", "outage"), natlab(4, "link a up", "usable")),
             HEALS, SEES_SILENCE, nats=("sym", "sym"), turn=True, jitter_s=1),
    Scenario("turn-restart", "the TURN server, without which nothing passes, begins anew",
             (natlab(1, "turn stop", "change"), natlab(1.5, "turn start")),
             LOSES_RELAY, LOSES_RELAY, nats=("sym", "sym"), turn=True, jitter_s=1, settle_s=4),
    Scenario("turn-standby", "of two TURN servers, without which nothing passes, the first one dies and "
             "comes back, and later the second one dies",
             (natlab(6, "turn stop 10", "change"), natlab(9, "turn start 10"),
              natlab(32, "turn stop 11", "change")),
             STANDS_BY, STANDS_BY, nats=("sym", "sym"), turns=(10, 11), jitter_s=1, settle_s=6,
             patience_s=20),
    Scenario("turn-standby-policy", "the same with ice-transport-policy=relay",
             (natlab(6, "turn stop 10", "change"), natlab(9, "turn start 10"),
              natlab(32, "turn stop 11", "change")),
             STANDS_BY, STANDS_BY, turns=(10, 11), jitter_s=1, settle_s=6, patience_s=20,
             peer=("--set", "ice-transport-policy=relay")),
    # Over TCP, so that the loss of a relay that nothing is sent to is told at once.
    Scenario("turn-gone-direct", "both TURN servers die, one after the other, and the first one comes "
             "back, while a direct way is in use",
             (natlab(3, "turn stop 10", "change"), natlab(5, "turn stop 11", "change"),
              natlab(7, "turn start 10")),
             dataclasses.replace(NO_ALARM, gap_ms=GAP_MS),
             dataclasses.replace(NO_ALARM, gap_ms=GAP_MS), turns=(10, 11), turn_transport="tcp",
             jitter_s=1, settle_s=8, busy=True),
    Scenario("one-way-30", "what alice sends is lost for 30 s",
             (natlab(1, "loss a 100 out", "outage"), natlab(31, "loss a 0", "usable")),
             # Alice hears bob all the time, until he tells her that he does not hear her.
             dataclasses.replace(SEES_SILENCE, detect_ms=DETECT_MS + RTT_MS), SEES_SILENCE,
             peer=("--peer-comeback-timeout", "60000"), jitter_s=1),
    loss_20("loss-20", 60, "bench"),
    loss_20("loss-20-short", 15, "test"),
    Scenario("stopped-10", "alice's process is stopped for 10 s",
             (Step(1, ("signal", "a", "STOP"), "outage"), Step(11, ("signal", "a", "CONT"), "usable")),
             Expect(events=(QUIET, HEALED), reasons=("peer",)), SEES_SILENCE, jitter_s=1),
    Scenario("slept-elsewhere", "alice's host sleeps for 8 s, and wakes in another network",
             (Step(1, ("signal", "a", "STOP"), "outage"), natlab(6, "move a 1"),
              Step(9, ("signal", "a", "CONT"), "usable")),
             Expect(events=(QUIET, HEALED), reasons=ANY_OUTAGE), SEES_SILENCE, jitter_s=1,
             settle_s=4),
    Scenario("slept-too-long", "the same, longer than bob's peer-comeback-timeout of 3 s",
             (Step(1, ("signal", "a", "STOP"), "outage"), natlab(6, "move a 1"),
              Step(9, ("signal", "a", "CONT"))),
             # What bob said at the end may be the first that she hears.
             Expect(events=(LOST, ("removed",)), reasons=ANY_OUTAGE, end="removed"),
             dataclasses.replace(GIVEN_UP, reasons=SUDDEN),
             peer=("--peer-comeback-timeout", str(COMEBACK_MS)), jitter_s=1),
)

MOVES_OF_A_HOST = (
    Scenario("address-change", "alice is in another network: another address, another public one",
             (natlab(1, "move a 1", "change"),), MOVES, MOVES, jitter_s=1, settle_s=4),
    Scenario("address-change-turns", "alice moves, and 5 s later bob",
             (natlab(1, "move a 1", "change"), natlab(6, "move b 1", "change")),
             dataclasses.replace(MOVES, events=(QUIET, HEALED, HEALED * 2)),
             dataclasses.replace(MOVES, events=(QUIET, HEALED, HEALED * 2)),
             jitter_s=1, settle_s=4),
    Scenario("address-change-both", "both move at once",
             (natlab(1, "move a 1", "change"), natlab(1, "move b 1")), MOVES, MOVES, jitter_s=1,
             settle_s=4),
    Scenario("address-change-alone", "alice moves while no rendezvous server is there; "
             "bob's NAT lets anybody in",
             (rendezvous(1, "kill"), natlab(2, "move a 1", "change")), MOVES, MOVES,
             nats=("port", "full"), jitter_s=1, settle_s=4),
    Scenario("nat-reboot", "alice's router is without power for 3 s, and has forgotten all after it",
             (natlab(1, "power a off", "outage"), natlab(4, "power a on", "usable")),
             HEALS, SEES_SILENCE, jitter_s=1),
    Scenario("nat-rebinding", "alice's NAT gives other ports, and nobody is told",
             (natlab(1, "rebind a", "change"),), MOVES_UNTOLD, MOVES_UNTOLD, jitter_s=1, settle_s=5),
    Scenario("nat-rebinding-alone", "the same while no rendezvous server is there; "
             "bob's NAT lets anybody in",
             (rendezvous(1, "kill"), natlab(2, "rebind a", "change")), MOVES_UNTOLD, MOVES_UNTOLD,
             nats=("port", "full"), jitter_s=1, settle_s=5),
    Scenario("second-uplink", "alice gets a second way out, and 3 s later the first one goes",
             (natlab(1, "link a2 up"), natlab(4, "link a down", "change")),
             dataclasses.replace(NO_ALARM, gap_ms=GAP_MS),
             dataclasses.replace(NO_ALARM, gap_ms=GAP_MS), uplink=True, jitter_s=1, settle_s=4,
             busy=True),
    Scenario("vpn-up", "a VPN comes up on alice's host and takes all that it sends; 4 s later it goes",
             (natlab(1, "vpn a2 up"), natlab(5, "vpn a2 down", "change")), MOVES, MOVES,
             uplink=True, jitter_s=1, settle_s=4),
    Scenario("relay-to-direct", "only a relay leads from one to the other, and later a direct way does",
             (natlab(1, "direct allow"),), UPGRADED, UPGRADED, turn=True, blocked=True,
             patience_s=60, settle_s=7, only="test"),
)

WITHOUT_RENDEZVOUS = (
    Scenario("rendezvous-before", "the rendezvous server is gone before an outage of 4 s",
             (rendezvous(1, "kill"), natlab(2, "link a down", "outage"),
              natlab(6, "link a up", "usable")), HEALS, SEES_SILENCE, jitter_s=1),
    Scenario("rendezvous-during", "the rendezvous server goes during an outage of 4 s",
             (natlab(1, "link a down", "outage"), rendezvous(3, "kill"),
              natlab(5, "link a up", "usable")), HEALS, SEES_SILENCE, jitter_s=1),
    Scenario("rendezvous-after", "the rendezvous server goes after an outage of 3 s, for 4 s",
             (natlab(1, "link a down", "outage"), natlab(4, "link a up", "usable"),
              rendezvous(6, "kill"), rendezvous(10, "start")), HEALS, SEES_SILENCE, jitter_s=1),
)

FOR_GOOD = (
    Scenario("comeback-timeout", "all is lost for good, and peer-comeback-timeout is 3 s",
             (natlab(1, "loss a 100", "outage"),), dataclasses.replace(GIVEN_UP, reasons=SUDDEN),
             dataclasses.replace(GIVEN_UP, reasons=SUDDEN),
             peer=("--peer-comeback-timeout", str(COMEBACK_MS)), jitter_s=1),
    Scenario("peer-killed", "bob's process is killed, and peer-comeback-timeout is 3 s",
             (Step(1, ("signal", "b", "KILL"), "outage"),),
             dataclasses.replace(GIVEN_UP, reasons=("silence", "transport")), KILLED,
             peer=("--peer-comeback-timeout", str(COMEBACK_MS)), jitter_s=1),
)

SCENARIOS = {one.name: one for one in (*OUTAGES, *MOVES_OF_A_HOST, *WITHOUT_RENDEZVOUS, *FOR_GOOD)}
