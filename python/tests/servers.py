"""Real servers for tests: started on a free port of this machine, killed, frozen, and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

LONGEST_S = 30

BIN = Path(sys.executable).parent


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _found(name):
    """The path of a server's program, or None: Debian keeps some where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/bin:/opt/homebrew/bin")


class Server:
    """A server that listens on a port of its own, also after it was killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + LONGEST_S
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, f"{self.command()} does not answer"
            time.sleep(0.01)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as opened:
                opened.sendall(self.question)
                opened.settimeout(5)
                return opened.recv(64).startswith(self.answer)
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(LONGEST_S)

    def freeze(self):
        """It listens, and says nothing any more."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Redis(Server):
    program = os.environ.get("TIERCE_REDIS_SERVER") or _found("redis-server")
    question, answer = b"PING\r\n", b"+PONG"

    def __init__(self, folder, *options):
        self.options = options
        super().__init__(folder)

    def command(self):
        return [
            self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", str(self.folder), *self.options,
        ]  # fmt: skip

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def ask(self, *words):
        """The answer to one command, as the server wrote it."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as opened:
            parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            opened.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            opened.settimeout(5)
            return opened.recv(1 << 20)


class Memcached(Server):
    program = _found("memcached")
    question, answer = b"version\r\n", b"VERSION"

    def command(self):
        return [self.program, "-p", str(self.port), "-l", "127.0.0.1", "-U", "0", "-u", "nobody"]

    @property
    def url(self):
        return f"memcached://127.0.0.1:{self.port}"
