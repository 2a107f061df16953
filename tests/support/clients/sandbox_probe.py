"""Program of a malicious task in a sandbox: tries every way out, and prints as JSON what happened to each.

sandbox_probe.py WAYS: WAYS is a JSON object with the paths, ports and process IDs to try.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any


def attempts(ways: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return the attempts by name. Each raises, or returns something empty or False, if it does not succeed."""
    outside, state, workspace = Path(ways["outside"]), Path(ways["state"]), Path.cwd()
    found: dict[str, Callable[[], Any]] = {}
    readable = {
        "absolute": outside,
        "dots": workspace / ".." / outside.name,
        "link": workspace / "link.txt",
        "link in a protected place": workspace / ".mcp.json",
        "root of init": Path(f"/proc/1/root{outside}"),
        "root of self": Path(f"/proc/self/root{outside}"),
        "cwd of init": Path(f"/proc/1/cwd/../{outside.name}"),
        "database": state / "state.sqlite3",
        "shadow": Path("/etc/shadow"),
        "home of root": Path("/root/.ssh"),
        "run": Path("/run"),
        "disk": Path("/dev/vda"),
        "memory": Path("/dev/mem"),
        "server's environment": Path(f"/proc/{ways['server']}/environ"),
        "server's memory": Path(f"/proc/{ways['server']}/mem"),
        "server's files": Path(f"/proc/{ways['server']}/root{outside}"),
    }
    for name, path in readable.items():
        found[f"read: {name}"] = path.exists
    writable = {
        "root": Path("/written.txt"),
        "system": Path("/usr/bin/written"),
        "library path": Path("/etc/ld.so.preload"),
        "plugin": Path(ways["plugin"]) / "written.txt",
        "Claude Code": Path(ways["cli"]),
        "git hook": workspace / ".git/hooks/pre-commit",
        "git configuration": workspace / ".git/config",
        "agents": workspace / ".claude/agents/new.md",
        "core pattern": Path("/proc/sys/kernel/core_pattern"),
        "extra path": Path(ways["readable"]) / "written.txt",
    }
    for name, path in writable.items():
        found[f"write: {name}"] = partial(_open_for_writing, path)
    processes = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    found |= {
        "files at home": lambda: [
            path for path in Path(ways["home"]).iterdir() if not Path(ways["readable"]).is_relative_to(path)
        ],
        "other processes": lambda: [pid for pid in processes if not _is_ours(pid)],
        "signal": lambda: os.kill(int(ways["server"]), signal.SIGCONT),
        "secret in an environment": lambda: [pid for pid in processes if b"server-canary" in _environment(pid)],
        "TCP to a server of the host": lambda: socket.create_connection(("127.0.0.1", int(ways["tcp"])), 2),
        "TCP to the internet": lambda: socket.create_connection(("192.0.2.1", 80), 2),
        "look up a name": lambda: socket.getaddrinfo("example.com", 80),
        "Unix socket": lambda: _connect(ways["unix"]),
        "abstract Unix socket": lambda: _connect("\0" + ways["abstract"]),
        "user namespace": lambda: _system_call("unshare", 0x10000000),
        "mount": lambda: _system_call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "unmount": lambda: _system_call("umount2", b"/usr", 2),
        "change root": lambda: _system_call("chroot", b"/proc/1/root"),
        "new device": lambda: os.mknod("/tmp/disk", 0o060600, os.makedev(254, 0)),
        "host name": lambda: socket.sethostname("mine"),
    }
    return found


def _is_ours(pid: str) -> bool:
    """Return whether a process is of this run: the sandbox's first, Claude Code, its shell or this one."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(part in words[0] for part in (b"bwrap", b"claude", b"bash", b"sh", b"python"))


def _open_for_writing(path: Path) -> None:
    path.open("a").close()


def _environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _connect(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)
    return True


def _system_call(name: str, *arguments: Any) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True


def main() -> None:
    """Try everything."""
    results = {}
    for name, attempt in attempts(json.loads(sys.argv[1])).items():
        try:
            results[name] = attempt() not in (False, [])
        except Exception:
            results[name] = False
    results["write: workspace"] = Path("made.txt").write_text("made") > 0
    command = 'echo x > "$TMPDIR/x" && echo x > /tmp/y && echo x > ~/z'
    results["write: temporary files"] = subprocess.call(["sh", "-c", command]) == 0
    # Where temporary files are, this reaches the run's own ones; elsewhere it is refused.
    with suppress(OSError):
        outside = Path(json.loads(sys.argv[1])["outside"])
        outside.with_name("written.txt").write_text("x")
    results["read: extra path"] = Path(json.loads(sys.argv[1])["readable"]).is_dir()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
