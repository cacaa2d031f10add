"""Is the box silent?"""

from __future__ import annotations

import socket
import subprocess
import sys

from appliance.services.network import network_state

LISTEN = "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); s.listen(); print(s.getsockname()[1], flush=True); input()"


def speakers_while_listening_at(address: str, program: str) -> tuple[tuple[str, ...], int]:
    """What is said while a process with this in its command line waits for connections."""
    command = [sys.executable, "-c", LISTEN, address, program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        found = network_state().speakers
        child.kill()
    return found, port


def test_our_processes_are_seen_when_others_can_reach_them() -> None:
    """A process of ours that listens to the whole network is named with its port; on the loopback, or a stranger, it is not."""
    found, port = speakers_while_listening_at("0.0.0.0", "appliance.running.worker")
    assert any(speaker.endswith(f":{port}") for speaker in found)
    found, port = speakers_while_listening_at("127.0.0.1", "appliance.running.worker")
    assert not any(speaker.endswith(f":{port}") for speaker in found)
    found, port = speakers_while_listening_at("0.0.0.0", "somebody.else")
    assert not any(speaker.endswith(f":{port}") for speaker in found)


def test_this_process_is_one_of_ours() -> None:
    """A connection of the front end itself would be told, too."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        state = network_state()
        assert any(speaker.endswith(f":{server.getsockname()[1]}") for speaker in state.speakers)
    assert state.silence == "speaking"
    assert state.processes >= 1
