"""Sockets for connections to a store, opened on the running loop; TLS between such a socket and a connection."""

import asyncio
import socket
from contextvars import Context

__all__ = ["Tls", "context_of", "dial"]


def dial(host, port, tls, /):
    """A task that opens a socket and gives it with its Tls, or None for that.

    host, port: of a server; or the path of a Unix socket, and None.
    tls: None, or the files of a CA, a certificate and its key, and the name that the
        server's certificate has to have; each may be None.
    """
    loop = asyncio.get_running_loop()
    # In a context of its own: it belongs to none of the callers who will use the connection. Not every loop's way to make
    # tasks takes one as an argument.
    return Context().run(loop.create_task, _open(loop, host, port, tls))


async def _open(loop, host, port, tls):
    opened = await (_unix(loop, host) if port is None else _tcp(loop, host, port))
    if tls is None:
        return opened, None
    try:
        ca, own, key, name = tls
        made = Tls(context_of(ca, own, key), name or host)
        await made.shake_hands(loop, opened)
        return opened, made
    except BaseException:
        opened.close()
        raise


async def _unix(loop, path):
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, path)
        return opened
    except BaseException:
        opened.close()
        raise


async def _tcp(loop, host, port):
    failed = None
    for family, kind, protocol, _, address in await _addresses(loop, host, port):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            # Requests are gathered by the connection; what is written is to go.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(opened, address)
            return opened
        except OSError as error:
            opened.close()
            failed = error
        except BaseException:
            opened.close()
            raise
    raise failed or OSError(f"{host} has no address")


async def _addresses(loop, host, port):
    try:
        # A number is read here; a name is asked for by the loop, which has a thread for it.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def context_of(ca, own, key, /):
    """How certificates are verified: always, with their names.

    Raises OSError (ssl.SSLError is one) where a file is not there or is none.
    """
    import ssl

    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if own is not None:
        context.load_cert_chain(own, key)
    return context


class Tls:
    """TLS that does no input or output: bytes are fed to it and taken from it."""

    __slots__ = ("_incoming", "_object", "_outgoing", "_wants_read", "_ended")

    def __init__(self, context, name):
        import ssl

        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._wants_read, self._ended = ssl.SSLWantReadError, (ssl.SSLZeroReturnError, ssl.SSLEOFError)

    async def shake_hands(self, loop, opened):
        while True:
            try:
                self._object.do_handshake()
            except self._wants_read:
                await loop.sock_sendall(opened, self.output())
                self.feed(await loop.sock_recv(opened, 1 << 16))
            else:
                return await loop.sock_sendall(opened, self.output())

    def read(self, most):
        """Up to so many bytes, decrypted; b"" at the end, None where more has to be fed first."""
        try:
            return self._object.read(most)
        except self._wants_read:
            return None
        except self._ended:
            return b""

    def write(self, data):
        self._object.write(data)

    def feed(self, data):
        """What came, encrypted; b"" where the other end has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def output(self):
        """What is to be sent, encrypted."""
        return self._outgoing.read()
