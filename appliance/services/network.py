"""Is the box silent? Which interfaces are up, and whether any process of ours speaks with anybody but this machine."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    import psutil

_OUR_MODULES = ("appliance.", "greenwave")
_OUR_PROGRAMS = ("llama-server",)

_DEVICES = Path("/proc/net/dev")
_FLAGS = Path("/sys/class/net")
_IFF_UP = 1

Silence = Literal["sealed", "silent", "speaking"]


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """What the network looks like from here."""

    silence: Silence
    """``sealed``: no way out of this machine is up. ``silent``: there is one, and nothing of ours uses it. ``speaking``: something does."""
    interfaces: tuple[str, ...]
    """That are up, loopback aside."""
    processes: int
    """Of ours that were looked at."""
    speakers: tuple[str, ...]
    """``program → address:port`` of what is connected beyond this machine, or reachable from there."""


def network_state() -> NetworkState:
    """Look now; takes some milliseconds."""
    import psutil

    interfaces = interfaces_up()
    ours = _our_processes()
    speakers: list[str] = []
    for process in ours:
        try:
            name, connections = process.name(), process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for connection in connections:
            is_open = connection.status == psutil.CONN_LISTEN
            address: tuple[Any, ...] = tuple(connection.laddr if is_open else connection.raddr)
            if address and not _is_this_machine(address[0]):
                speakers.append(f"{name} → {address[0]}:{address[1]}")
    silence: Silence = "speaking" if speakers else "silent" if interfaces else "sealed"
    return NetworkState(silence=silence, interfaces=interfaces, processes=len(ours), speakers=tuple(dict.fromkeys(speakers)))


def interfaces_up() -> tuple[str, ...]:
    """Network interfaces that are up, loopback aside; read from files, so that looking opens no socket."""
    try:
        lines = _DEVICES.read_text("ascii").splitlines()[2:]
    except OSError:
        return ()
    names = (line.partition(":")[0].strip() for line in lines)
    return tuple(name for name in names if name != "lo" and _is_up(name))


def _is_up(name: str) -> bool:
    """By the flags of ``netdevice(7)``; one that cannot be asked counts as up."""
    try:
        return bool(int((_FLAGS / name / "flags").read_text("ascii"), 16) & _IFF_UP)
    except (OSError, ValueError):
        return True


def _our_processes() -> list[psutil.Process]:
    """This process and every other one of this user that runs our code or our server."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "uids", "cmdline"]):
        command = process.info["cmdline"] or []
        is_ours = process.pid == os.getpid() or any(_runs_ours(part) for part in command[:6])
        if is_ours and process.info["uids"] and process.info["uids"].real == os.getuid():
            found.append(process)
    return found


def _runs_ours(argument: str) -> bool:
    program = argument.rpartition("/")[2]
    return program in _OUR_PROGRAMS or program.startswith(_OUR_MODULES)


def _is_this_machine(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
