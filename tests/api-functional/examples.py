"""Runs the examples against each other, two processes at a time, over the local rendezvous.

    examples.py FOLDER [PYTHON_FOLDER]
"""
import os
import subprocess
import sys
import tempfile

TIMEOUT_S = 60
programs = sys.argv[1]
scripts = sys.argv[2] if len(sys.argv) > 2 else None

home = tempfile.TemporaryDirectory()
payload = os.urandom(2_000_000)


def environment(name):
    folder = os.path.join(home.name, name)
    os.makedirs(folder, exist_ok=True)
    return {**os.environ, 'XDG_DATA_HOME': folder, 'XDG_RUNTIME_DIR': home.name}


def run_pair(first, second, given=b''):
    """Both outputs, once both have ended well."""
    commands = {'alice': first + ['alice', 'bob'], 'bob': second + ['bob', 'alice']}
    processes = [subprocess.Popen(command, env=environment(name), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
                 for name, command in commands.items()]
    # The one that is given something ends only when the other takes it: start with the giver's end.
    processes[0].stdin.write(given)
    processes[0].stdin.close()
    processes[0].stdin = None
    outputs = [process.communicate(timeout=TIMEOUT_S)[0] for process in reversed(processes)]
    for process in processes:
        assert process.returncode == 0, process.args
    return outputs


def program(name):
    return [os.path.join(programs, name)]


def script(name):
    return [sys.executable, os.path.join(scripts, name)]


assert run_pair(program('p2p-send'), program('p2p-receive'), payload)[0] == payload
if scripts:
    assert run_pair(script('send.py'), program('p2p-receive'), payload)[0] == payload
    assert run_pair(program('p2p-send'), script('receive.py'), payload)[0] == payload
sockets = os.path.join(home.name, 'sockets')
os.mkdir(sockets)
said = run_pair(program('own-path') + [sockets], program('own-path') + [sockets])
assert said == [b'Hello bob, this is alice.\n', b'Hello alice, this is bob.\n'], said
assert os.listdir(sockets) == [], 'a path was not closed'
