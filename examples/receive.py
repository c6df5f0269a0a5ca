#!/usr/bin/env python3
"""Waits for a peer and writes what it sends to standard output.

    receive.py [--rendezvous URI] [--secret SECRET] ME PEER > file
"""
import argparse
import os
import sys

import gi

gi.require_version('P2p', '1.0')
from gi.repository import GLib, P2p  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument('me')
parser.add_argument('peer')
parser.add_argument('--rendezvous', default='local')
parser.add_argument('--secret', default=os.environ.get('P2P_SECRET'))
options = parser.parse_args()

agent = P2p.Agent.new(options.me)
try:
    agent.set_rendezvous(options.rendezvous)
    agent.set_secret(options.secret)
    connection = agent.open_connection(options.peer, None)
    channel = connection.open_channel('file', None)
    stream = channel.get_io_stream().get_input_stream()
    while True:
        part = stream.read_bytes(65536, None).get_data()
        if not part:
            break
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    # The sender closes, once it knows that everything was taken.
    while connection.get_state() != P2p.ConnectionState.REMOVED:
        GLib.MainContext.default().iteration(True)
except GLib.Error as error:
    sys.exit(error.message)
