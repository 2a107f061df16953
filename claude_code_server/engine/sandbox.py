"""Sandbox of a run: namespaces in which nothing exists but the system, the workspace and the run's private folders.

bubblewrap makes the file system and the process namespace. The supervisor makes the network namespace before it, opens
listening sockets in it, and hands them to this process, which serves on them: the sandbox's only ways out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from ..domain.settings import Settings
from . import supervisor
from .unavailable import UnavailableError

RELAY_PORT: Final = 8118
"""Port of the model proxy on the sandbox's loopback address."""
EGRESS_PORT: Final = 8119
"""Port of the proxy to the allowed hosts on the sandbox's loopback address."""
_SYSTEM: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr")
_ETC: Final = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "debian_version", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "localtime", "os-release", "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "ssl/certs"),
    *("ssl/cert.pem", "ssl/openssl.cnf", "timezone", "mime.types", "magic", "profile", "bash.bashrc"),
    *("python3", "perl", "java"),
)
"""Parts of /etc that programs need, none of them private."""
_KERNEL: Final = ("acpi", "bus", "fs", "irq", "mtrr", "sys", "sysrq-trigger")
"""Parts of /proc that root may change by its user ID alone, which it keeps in the sandbox."""
PROTECTED: Final = (".claude", ".git/config", ".git/hooks", ".mcp.json")
"""Paths of the workspace that may run commands outside of the sandbox later, when people work there."""
_NAMESPACES: Final = (
    *("--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "sandbox", "--die-with-parent", "--cap-drop", "ALL"),
)
_CHECK_SECONDS: Final = 20.0
_HELP: Final = (
    "install bubblewrap 0.8 or newer and allow user namespaces (docs/sandbox.md), or go without it (--no-sandbox): "
    "Bash commands can then do whatever you can"
)


@attrs.frozen
class Sandbox:
    """Sandbox for the runs of one server."""

    bubblewrap: Path
    workspace: Path
    readable: tuple[Path, ...] = ()
    """Further directories that runs may read."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that runs may reach: see ``egress``."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports on the sandbox's loopback address at which something outside listens."""
        return (RELAY_PORT, EGRESS_PORT) if self.allowed_hosts else (RELAY_PORT,)

    @property
    def relay_url(self) -> str:
        """URL of the model proxy in the sandbox."""
        return f"http://127.0.0.1:{RELAY_PORT}"

    def environment(self) -> Mapping[str, str]:
        """Return variables that the processes in the sandbox need besides those of every run."""
        if not self.allowed_hosts:
            return {}
        proxy = f"http://127.0.0.1:{EGRESS_PORT}"
        # Servers that the run itself starts, unless localhost stands for this machine.
        localhost = any(host.partition(":")[0] == "localhost" for host in self.allowed_hosts)
        direct = "127.0.0.1" if localhost else "127.0.0.1,localhost"
        return {
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), direct),
        }

    def command(self, cli: Path, private: Path, writable: Path, readable: Sequence[Path] = ()) -> list[str]:
        """Return the words before the arguments of ``cli`` that run it in the sandbox.

        ``writable`` is a directory at its own path, besides ``home``, ``tmp`` and ``config`` of ``private``.
        """
        words = [str(self.bubblewrap), *_NAMESPACES, "--proc", "/proc", "--dev", "/dev"]
        for name in _KERNEL:
            words += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        words += _system()
        identity = private / "identity"
        for name in ("passwd", "group", "nsswitch.conf", "hosts"):
            words += ["--ro-bind", str(identity / name), f"/etc/{name}"]
        words += ["--bind", str(private / "tmp"), "/tmp", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108 (the sandbox's)
        for path in (*self.readable, *readable):
            words += ["--ro-bind-try", str(path), str(path)]
        words += ["--bind", str(writable), str(writable)]
        for name in ("home", "tmp", "config"):
            words += ["--bind", str(private / name), str(private / name)]
        return [*words, "--ro-bind", str(cli), str(cli), "--remount-ro", "/", "--", str(cli)]


def write_identity(private: Path) -> None:
    """Write the user database of the sandbox, which knows one user."""
    folder = private / "identity"
    folder.mkdir(mode=0o700)
    user, group = os.getuid(), os.getgid()
    home = private / "home"
    files = {
        "passwd": f"{'root' if user == 0 else 'user'}:x:{user}:{group}::{home}:/bin/sh\n",
        "group": f"{'root' if group == 0 else 'user'}:x:{group}:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "hosts": "127.0.0.1 localhost\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def open_sandbox(settings: Settings, state_dir: Path) -> Sandbox | None:
    """Return the sandbox that the settings ask for, after a trial on this machine. Blocking. Raise UnavailableError."""
    if not settings.sandbox:
        return None
    if sys.platform != "linux":
        raise UnavailableError(f"the sandbox needs Linux; {_HELP}")
    workspace = settings.workspace.resolve()
    if workspace == Path("/"):
        raise UnavailableError("a sandbox around the workspace / would keep nothing out; choose another workspace")
    found = shutil.which("bwrap")
    if found is None:
        raise UnavailableError(f"the sandbox needs bubblewrap (bwrap), which is not installed; {_HELP}")
    sandbox = Sandbox(Path(found), workspace, settings.sandbox_paths, settings.sandbox_hosts)
    if (problem := _trial(sandbox, state_dir)) is not None:
        raise UnavailableError(f"the sandbox does not start here ({problem}); {_HELP}")
    return sandbox


def _trial(sandbox: Sandbox, state_dir: Path) -> str | None:
    """Run a program in the sandbox; return why it did not run."""
    program = Path(shutil.which("true") or "/bin/true")
    with tempfile.TemporaryDirectory(prefix="trial-", dir=state_dir) as folder:
        private = Path(folder)
        for name in ("home", "tmp", "config"):
            (private / name).mkdir()
        write_identity(private)
        supervisor.write_spec(
            private / "spec",
            command=sandbox.command(program, private, sandbox.workspace),
            env={},
            parent=os.getpid(),
            namespaces=supervisor.namespaces("", (), str(sandbox.workspace), PROTECTED),
        )
        words = [sys.executable, "-I", "-S", supervisor.__file__, str(private / "spec")]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return "it hung"
    if ended.returncode == 0:
        return None
    return " ".join(ended.stderr.split()) or f"exit code {ended.returncode}"


def _system() -> Iterator[str]:
    """Return the words that show the system's programs, libraries and public configuration."""
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
