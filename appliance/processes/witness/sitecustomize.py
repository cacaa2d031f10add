"""The witness inside a Python process: an audit hook that writes every attempt to reach the network to the file in ``GREENWAVE_WITNESS``.

Written down are look-ups of names, and sockets that are connected, bound or written to beyond the loopback; sockets of this machine
(``AF_UNIX``, 127.0.0.0/8, ::1) are not. Imports nothing but what every Python has loaded already: it runs before anything else.
"""

from __future__ import annotations

import os
import sys

RECORD = "GREENWAVE_WITNESS"
"""Names the file; without it nothing is watched."""

EXPECTED = "GREENWAVE_WITNESS_EXPECTS"
"""``NAME=VALUE`` separated by semicolons: variables that every process should have been started with."""

_LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
_SOCKETS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")


def watch(record: str) -> None:
    """Watch this process from now on; an audit hook cannot be taken off again."""
    descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(kind: str, *told: str) -> None:
        line = "\t".join((kind, str(os.getpid()), *(ascii(text)[1:-1].replace("\\t", " ") for text in told)))
        os.write(descriptor, line.encode() + b"\n")  # one call: lines of several processes do not mix

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not event.startswith("socket."):
            return
        if event in _LOOK_UPS:
            asked = arguments[0]
            host = asked[0] if isinstance(asked, tuple) and asked else asked
            if not _is_this_machine(host):
                note(event, str(host))
        elif event in _SOCKETS and len(arguments) > 1:
            address = arguments[1]
            if isinstance(address, tuple) and address and not _is_this_machine(address[0]):
                note(event, ":".join(map(str, address[:2])))

    sys.addaudithook(hook)
    wanted = (entry.partition("=") for entry in os.environ.get(EXPECTED, "").split(";") if entry)
    missing = [name for name, _, value in wanted if os.environ.get(name) != value]
    note("started", ",".join(missing), " ".join(sys.orig_argv[:6]))


def _is_this_machine(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    # Neither a name of the loopback nor a number is ever asked of anybody. None is what asks for an address to listen at.
    return name is None or (isinstance(name, str) and (name in ("localhost", "::1") or name.startswith("127.")))


if os.environ.get(RECORD) and __name__ == "sitecustomize":
    watch(os.environ[RECORD])
