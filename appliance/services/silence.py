"""What this machine's kernel and our own processes tell about the network while something goes on, and what they cannot tell.

Three observers. The *witnesses* are audit hooks in every Python process of ours (``processes/witness``). The *kernel* counts, for this
network namespace as a whole, what left through an interface other than the loopback and what was refused for want of a route; in a
namespace of our own, as a container's is, these are attempts of ours, native code included. The *look* asks now and then which
connections our processes hold. Counters: ``proc(5)``, ``/proc/net/dev``, ``/proc/net/snmp`` (RFC 4293, ``ipOutNoRoutes``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from appliance.processes.witness import EXPECTED, FOLDER, RECORD, read_record
from appliance.processes.witness.sitecustomize import watch
from appliance.running.offline import OFFLINE_SWITCHES
from appliance.services.network import interfaces_up, network_state

LOOK_EVERY = 0.5
"""Seconds between two looks at the connections of our processes."""

_NET = Path("/proc/net")


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's counters of this network namespace since it exists."""

    interfaces: tuple[str, ...]
    """Those that are up, loopback aside; some kernels give every namespace tunnels, which are down."""
    sent: int
    """Packets that left through them."""
    received: int
    refused: int
    """IPv4 and IPv6 packets and connections that had no route to where they were to go."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the network from the beginning of something to its end."""

    interfaces: tuple[str, ...]
    sent: int
    received: int
    refused: int
    processes: int
    """Python processes that were watched from their start."""
    attempts: tuple[str, ...]
    """What they tried to reach beyond this machine."""
    unprepared: tuple[str, ...]
    """Processes that were started without an offline switch."""
    looks: int
    connections: tuple[str, ...]
    """``program → address:port``, each once, of all looks."""


class Observer:
    """Observes the block that it is entered for; ``observation`` is there afterwards."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._before = read_counters()
        self._over = threading.Event()
        self._connections: dict[str, None] = {}
        self._looks = 0
        self._looking = threading.Thread(target=self._look, name="silence", daemon=True)
        self.observation: Observation | None = None

    def __enter__(self) -> Observer:
        watch(str(self._record))
        self._looking.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._looking.join()
        now, told = read_counters(), read_record(self._record)
        self.observation = Observation(
            interfaces=now.interfaces,
            sent=now.sent - self._before.sent,
            received=now.received - self._before.received,
            refused=now.refused - self._before.refused,
            processes=told.processes,
            attempts=tuple(told.attempts),
            unprepared=tuple(told.unprepared),
            looks=self._looks,
            connections=tuple(self._connections),
        )

    def _look(self) -> None:
        while True:
            self._connections |= dict.fromkeys(network_state().speakers)
            self._looks += 1
            if self._over.wait(LOOK_EVERY):
                return


@contextmanager
def witnessed_children(record: Path, folder_of_a_person: Path) -> Iterator[None]:
    """Let every Python process that is started within the block have its witness, and a person's folders of its own, which are empty.

    The machine code that numba keeps stays where it is: nothing but time depends on it. Changes the environment of this process, so
    no other thread may start processes meanwhile.
    """
    kept = os.environ.get("GREENWAVE_CACHE") or str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "greenwave")
    person = {"HOME": "", "XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config", "XDG_DATA_HOME": ".local/share"}
    changes = {
        RECORD: str(record),
        EXPECTED: ";".join(f"{name}={value}" for name, value in OFFLINE_SWITCHES.items()),
        "PYTHONPATH": os.pathsep.join([str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "GREENWAVE_CACHE": kept,
        **{name: str(folder_of_a_person / place) for name, place in person.items()},
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def read_counters() -> Counters:
    """The counters now; those that this kernel does not have are 0."""
    sent = received = 0
    for line in _lines("dev")[2:]:
        name, _, figures = line.partition(":")
        values = figures.split()
        if name.strip() != "lo" and len(values) >= 10:
            received, sent = received + int(values[1]), sent + int(values[9])
    return Counters(interfaces=interfaces_up(), sent=sent, received=received, refused=_refused())


def _refused() -> int:
    ip_lines = [line.split() for line in _lines("snmp") if line.startswith("Ip:")]
    version_4 = dict(zip(*ip_lines[:2], strict=False)).get("OutNoRoutes", 0) if len(ip_lines) >= 2 else 0
    version_6 = next((line.split()[1] for line in _lines("snmp6") if line.startswith("Ip6OutNoRoutes")), 0)
    return int(version_4) + int(version_6)


def _lines(name: str) -> list[str]:
    try:
        return (_NET / name).read_text("ascii").splitlines()
    except OSError:
        return []
