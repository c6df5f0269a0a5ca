"""Two agents meet, connect and exchange bytes, all of it through introspection, as an application in
Python would. Exit code 77 when PyGObject is missing."""
import os
import sys
import tempfile

try:
    import gi
except ImportError:
    sys.exit(77)

home = tempfile.TemporaryDirectory()
os.environ['XDG_DATA_HOME'] = home.name
os.environ['XDG_RUNTIME_DIR'] = home.name

gi.require_version('P2p', '1.0')
from gi.repository import Gio, GLib, P2p  # noqa: E402

TIMEOUT_S = 30


def wait_for(condition, what):
    """Iterates the main context until the condition holds; fails after TIMEOUT_S."""
    context = GLib.MainContext.default()
    expired = []
    source = GLib.timeout_source_new_seconds(TIMEOUT_S)
    source.set_callback(lambda *_: expired.append(True) or GLib.SOURCE_REMOVE)
    source.attach(context)
    while not condition():
        assert not expired, f'timed out: {what}'
        context.iteration(True)
    source.destroy()


class Call:
    """One asynchronous call: its outcome, once there is one."""

    def __init__(self, start, finish):
        self.done, self.value, self.error, self.finish = False, None, None, finish
        start(self.on_done)

    def on_done(self, _source, result):
        try:
            self.value = self.finish(result)
        except GLib.Error as error:
            self.error = error
        self.done = True

    def wait(self, what):
        wait_for(lambda: self.done, what)
        if self.error:
            raise self.error
        return self.value



def make_agent(name, secret):
    agent = P2p.Agent.new(name)
    agent.props.identity = os.path.join(home.name, f'{name}.pem')
    agent.set_rendezvous('local:' + os.path.join(home.name, 'meet.sock'))
    agent.set_secret(secret)
    return agent


def receive(channel):
    call = Call(lambda done: channel.receive_async(None, done), channel.receive_finish)
    return call.wait('a message')


def check_connection_and_channels():
    secret = P2p.generate_secret()
    alice, bob = make_agent('alice', secret), make_agent('bob', secret)
    to_bob = Call(lambda done: alice.connect_async('bob', None, None, done), alice.connect_finish)
    to_alice = Call(lambda done: bob.connect_async('alice', None, None, done), bob.connect_finish)
    at_alice, at_bob = to_bob.wait('a connection to bob'), to_alice.wait('a connection to alice')

    assert at_alice.get_state() == P2p.ConnectionState.CONNECTED
    assert at_alice.get_authentication() == P2p.Authentication.SECRET
    assert at_alice.get_peer() == 'bob'
    assert at_alice.dup_peer_fingerprint() == bob.get_fingerprint()
    assert alice.get_connections().get_n_items() == 1
    assert alice.get_connections().get_item(0) == at_alice
    assert alice.lookup_connection('bob') == at_alice
    stats = at_alice.get_stats().unpack()
    assert stats['state'] == 'connected' and stats['authentication'] == 'secret', stats
    assert stats['break-reason'] == 'none' and stats['breaks'] == 0, stats
    assert at_alice.props.break_reason == P2p.BreakReason.NONE
    assert at_alice.get_break_reason() == P2p.BreakReason.NONE
    alice.props.ping_interval = 500
    assert alice.props.ping_timeout == 1000 and alice.props.network_available

    opened = []
    at_bob.connect('channel-opened', lambda _, channel: opened.append(channel))
    channel = at_alice.open_channel('chat', None)
    payload = bytes(range(256)) * 300
    Call(lambda done: channel.send_async(GLib.Bytes.new(payload), None, done),
         channel.send_finish).wait('a send')
    wait_for(lambda: opened, 'the channel at the peer')
    assert opened[0].get_name() == 'chat'
    assert at_bob.lookup_channel('chat') == opened[0]
    assert at_bob.get_channels().get_n_items() == 1
    message = receive(opened[0])
    assert message.get_payload().get_data() == payload
    assert message.get_sequence() == 0 and message.get_attributes() is None

    # Back, with attributes, and the end after it.
    reply = P2p.Message.new(GLib.Bytes.new(b'pong'), GLib.Bytes.new(b'caps'))
    assert opened[0].send_message(reply, None)
    opened[0].end()
    message = receive(channel)
    assert message.get_payload().get_data() == b'pong'
    assert message.get_attributes().get_data() == b'caps'
    try:
        receive(channel)
        raise AssertionError('a message after the end')
    except GLib.Error as error:
        assert error.matches(P2p.Error.quark(), P2p.Error.END_OF_STREAM), error

    # A cancelled receive loses nothing.
    cancellable = Gio.Cancellable()
    call = Call(lambda done: opened[0].receive_async(cancellable, done), opened[0].receive_finish)
    cancellable.cancel()
    wait_for(lambda: call.done, 'the cancellation')
    assert call.error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED), call.error
    channel.send(GLib.Bytes.new(b'still here'), None)
    assert receive(opened[0]).get_payload().get_data() == b'still here'

    removed = []
    at_alice.connect('removed', lambda _, error: removed.append(error))
    at_bob.close()
    wait_for(lambda: at_alice.get_state() == P2p.ConnectionState.REMOVED, 'the removal')
    wait_for(lambda: alice.get_connections().get_n_items() == 0, 'the empty list')
    assert removed == [None], removed
    for agent in (alice, bob):
        Call(lambda done, a=agent: a.close_async(None, done), agent.close_finish).wait('the close')


def check_stream():
    """A file's worth of bytes through the GIOStream, read in other pieces than written."""
    secret = P2p.generate_secret()
    carol, dave = make_agent('carol', secret), make_agent('dave', secret)
    to_dave = carol.open_connection('dave', None).open_channel('file', None)
    to_carol = dave.open_connection('carol', None).open_channel('file', None)
    sent = os.urandom(3 * 1024 * 1024)
    output = to_dave.get_io_stream().get_output_stream()
    writing = Call(lambda done: output.write_all_async(sent, GLib.PRIORITY_DEFAULT, None, done),
                   output.write_all_finish)
    stream = to_carol.get_io_stream().get_input_stream()
    got = b''
    while len(got) < len(sent):
        got += Call(lambda done: stream.read_bytes_async(100_000, GLib.PRIORITY_DEFAULT, None, done),
                    stream.read_bytes_finish).wait('bytes').get_data()
    assert got == sent
    writing.wait('the write')
    Call(lambda done: output.close_async(GLib.PRIORITY_DEFAULT, None, done),
         output.close_finish).wait('the close')
    end = Call(lambda done: stream.read_bytes_async(1, GLib.PRIORITY_DEFAULT, None, done),
               stream.read_bytes_finish).wait('the end')
    assert end.get_size() == 0


def check_app_signaling():
    """Two agents over signaling of the application and a network in memory, with loss."""
    network = P2p.MemoryNetwork.new(7)
    network.props.loss = 0.02
    agents, signalings = {}, {}
    for name, other in (('erin', 'frank'), ('frank', 'erin')):
        signalings[name] = P2p.AppSignaling.new()
        agent = agents[name] = P2p.Agent.new(name)
        agent.props.identity = os.path.join(home.name, f'{name}.pem')
        agent.props.path_order = ['memory']
        agent.set_signaling(signalings[name])
        agent.add_path_factory(network)
    for name, other in (('erin', 'frank'), ('frank', 'erin')):
        signalings[name].connect(
            'send-message',
            lambda _, peer, message, sender=name: signalings[peer].receive(sender, message))
    agents['frank'].props.accept_policy = P2p.AcceptPolicy.ASK
    incoming = []
    agents['frank'].connect('incoming', lambda _, connection: incoming.append(connection))
    Call(lambda done: agents['frank'].start_async(None, done),
         agents['frank'].start_finish).wait('the start')
    connection = agents['erin'].open_connection('frank', None)
    wait_for(lambda: incoming, 'the incoming connection')
    assert incoming[0].get_state() == P2p.ConnectionState.INCOMING
    incoming[0].accept()
    channel = connection.open_channel('data', None)
    for number in range(200):
        channel.send(GLib.Bytes.new(b'%d' % number), None)
    wait_for(lambda: incoming[0].lookup_channel('data'), 'the channel')
    arrived = incoming[0].lookup_channel('data')
    for number in range(200):
        assert receive(arrived).get_payload().get_data() == b'%d' % number
    assert connection.get_stats().unpack()['path-kind'] == 'memory'
    assert network.get_stats().unpack()['sent'] > 0


def check_errors():
    try:
        P2p.NetworkConfig.new_from_string('{"id": 5}')
        raise AssertionError('malformed text was taken')
    except GLib.Error as error:
        assert error.matches(P2p.Error.quark(), P2p.Error.INVALID_ARGUMENT), error
    agent = P2p.Agent.new(None)
    assert agent.get_id().startswith('p2p-') and len(agent.get_id()) == 12
    for call in (lambda: agent.set_rendezvous('gopher://x'),
                 lambda: agent.set_stun_server('http://x'),
                 lambda: agent.add_turn_server('turn:nobody'),
                 lambda: agent.set_peer_fingerprint('x', 'zz')):
        try:
            call()
            raise AssertionError('a malformed argument was taken')
        except GLib.Error as error:
            assert error.matches(P2p.Error.quark(), P2p.Error.INVALID_ARGUMENT), error
    # What could not be set must not be forgotten.
    try:
        agent.open_connection('peer', None)
        raise AssertionError('connected without what was asked for')
    except GLib.Error as error:
        assert error.matches(P2p.Error.quark(), P2p.Error.INVALID_ARGUMENT), error


check_errors()
check_connection_and_channels()
check_stream()
check_app_signaling()
print('ok')
