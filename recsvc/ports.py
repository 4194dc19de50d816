"""Owns addresses: how one is written, and holding a port that several processes are to listen on."""

from __future__ import annotations

import errno
import socket

from recdata.errors import ServeError

MAX_PORT = 65535


def address_text(host: str, port: int) -> str:
    """Returns HOST:PORT as a client needs it."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def check_port(port: int) -> None:
    """Checks that a port can be one.

    Raises:
        ServeError: it is too large.
    """
    if port > MAX_PORT:
        raise ServeError(f"port {port} is above {MAX_PORT}; give --port a smaller one, or 0 for a free one")


def cannot_listen(host: str, port: int, error: OSError | None) -> ServeError:
    """Returns the error of an address that cannot be listened on, with what helps against its cause.

    Args:
        host: the address.
        port: as asked for.
        error: what the system says; None where it does not say.
    """
    why = (error.strerror or str(error)) if error is not None else "refused"
    if isinstance(error, socket.gaierror) or (error is not None and error.errno == errno.EADDRNOTAVAIL):
        remedy = "give --host an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them"
    elif isinstance(error, PermissionError):
        remedy = "give --port a number from 1024 on (0 for a free one), or the right to use lower ones"
    else:
        remedy = "stop what listens there, or give --port another number (0 for a free one)"
    return ServeError(f"cannot listen on {address_text(host, port)}: {why}; {remedy}")


def hold_port(host: str, port: int) -> socket.socket:
    """Returns a socket that holds a port without listening, so that our processes can listen on it.

    Until it holds the port it shares it with nobody, so a server that listens there, even one that shares its
    port, is found. Afterwards it lets those of the same user join who ask for sharing; a second server does
    not, since it begins by not sharing, too.

    Args:
        host: the address.
        port: 0 for a free one, which `getsockname` tells.

    Raises:
        ServeError: the port is taken, or the host is not one of this machine.
    """
    check_port(port)
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        held = socket.socket(family, kind)
        try:
            # Connections of a server before us that linger must not keep the port.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except BaseException:
            held.close()
            raise
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    return held
