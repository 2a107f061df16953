"""Supervisor script: runs Claude Code as a child process and leaves none of its descendants behind.

    supervisor.py SPEC [ARGUMENT...]

SPEC is a file, deleted after reading, that ``write_spec`` wrote. The child gets the arguments, exactly the environment
of SPEC, the supervisor's standard streams, and a session of its own; if SPEC says so, it is alone in a network
namespace, whose only ways out are listening sockets that the server gets. When the child exits, or when the supervisor
loses its parent or is terminated (SIGTERM, SIGHUP; SIGUSR1 kills at once), it ends all descendants, of any session.
A parent that adopts orphans gets a killed child before its end, once nothing can run any more: the kernel takes 20 ms
to free the memory of Claude Code.

Every task waits for the start of this script: it runs without ``site`` (``python -S``), and imports little.
"""

from __future__ import annotations

import marshal
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final, TypeAlias

    import psutil

    Namespaces: TypeAlias = tuple[str, list[int], str, list[str]]
else:
    # The modules os and signal are these with more around them, whose import takes a fifth of the start.
    import _signal as signal
    import posix as os

KILL: Final = signal.SIGUSR1
"""Signal that makes the supervisor kill all descendants, which then get no time to end by themselves."""
_LINUX: Final = sys.platform == "linux"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_GRACE: Final = 0.4
"""Seconds that descendants may take to exit after each signal."""
_ROUNDS: Final = 20
_TICK: Final = 0.5
"""Seconds between looks at the process tree where the kernel does not reparent orphans to the supervisor."""
_LOOK: Final = 0.001
"""Seconds between looks at a killed child."""
_LOOKS: Final = 20
_EXITING: Final = 0x4
"""Flag of a thread that runs nothing but its own end in the kernel (PF_EXITING)."""
_CANNOT_EXECUTE: Final = 126
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWNS: Final = 0x00020000
# System calls of Linux 5.12, with the same numbers on all architectures.
_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_MOUNT_SETATTR: Final = 442
_OPEN_TREE_CLONE: Final = 1
_AT_EMPTY_PATH: Final = 0x1000
_MOUNT_ATTR_RDONLY: Final = 1
_MOVE_MOUNT_EMPTY_PATHS: Final = 0x4 | 0x40
_FILE_TYPE: Final = 0o170000
_LINK: Final = 0o120000
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_BACKLOG: Final = 1024


def write_spec(
    path: str | os.PathLike[str],
    *,
    command: Sequence[str],
    env: Mapping[str, str],
    parent: int,
    adopts: bool = False,
    namespaces: Namespaces | None = None,
) -> None:
    """Write SPEC to a new file that nobody else can read.

    ``command`` are the words before the arguments; ``adopts`` says whether the process ``parent`` adopts orphans.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        marshal.dump((list(command), dict(env), parent, adopts, namespaces), file)


def namespaces(receiver: str, ports: Sequence[int], folder: str, protected: Sequence[str]) -> Namespaces:
    """Return the namespaces of a child.

    ``receiver`` is the Unix socket that takes the listening sockets, ``ports`` are their ports on the loopback address
    there. What exists of the paths ``protected`` in ``folder`` is read-only, unless it is a link.
    """
    return receiver, list(ports), folder, list(protected)


def main(spec_path: str, *arguments: str) -> int:
    """Run the child until it exits or the supervisor has to stop; return the child's exit code."""
    received: list[int] = []
    wake = _install_signal_handlers(received)
    with open(spec_path, "rb") as file:  # noqa: PTH123 (pathlib takes as long to import as all modules above)
        command, env, parent, adopts, inside = marshal.load(file)  # noqa: S302 (from this server)
    os.unlink(spec_path)
    prctl = _load_prctl()
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return 1
    child = os.fork()
    if not child:
        _execute([*command, *arguments], env, prctl, inside, os.getppid())
    known: set[psutil.Process] = set()
    code: int | None = None
    while code is None and not received and os.getppid() == parent:
        # Without a subreaper, orphans leave the process tree: remember them before they do.
        if not _LINUX:
            known |= _descendants()
        select.select([wake], [], [], None if _LINUX else _TICK)
        try:  # noqa: SIM105 (contextlib is another import)
            os.read(wake, 4096)
        except BlockingIOError:
            pass
        code = _reap(child)
    if code is None and KILL in received:
        os.kill(child, signal.SIGKILL)
        # Usually there is nobody else.
        if adopts and _stops_alone(child):
            return 0
        os.waitpid(child, 0)
    if not (_LINUX and _is_childless()):
        _terminate_all(known, kill=KILL in received)
    return code or 0


def _execute(
    words: list[str],
    env: Mapping[str, str],
    prctl: Callable[[int, int], object],
    inside: Namespaces | None,
    supervisor: int,
) -> None:
    """Become the child; never return."""
    try:
        if inside is not None:
            _enter_namespaces(*inside)
        # Python ignores these signals, and what a process ignores, the program that it becomes ignores too.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            return
        os.execve(words[0], words, env)
    except OSError as error:
        os.write(2, f"cannot execute {words[0]}: {error.strerror}\n".encode(errors="replace"))
    finally:
        os._exit(_CANNOT_EXECUTE)


def _enter_namespaces(receiver: str, ports: list[int], folder: str, protected: list[str]) -> None:
    """Enter a network and a mount namespace, and a user namespace that permits it; hand over a socket for each port."""
    import _socket
    import ctypes
    import fcntl

    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), f"user namespaces: {os.strerror(ctypes.get_errno())}")
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items():
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)
    for path in protected:
        _make_read_only(libc.syscall, folder, path)
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    # struct ifreq: the name, padded to 16 bytes, and the flags
    fcntl.ioctl(control, _SIOCSIFFLAGS, b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder) + bytes(14))
    listening = []
    for port in ports:
        listening.append(_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM))
        listening[-1].bind(("127.0.0.1", port))
        listening[-1].listen(_BACKLOG)
    if not listening:
        return
    # The path of a socket must be short, and that of the directory need not be.
    place, _, name = receiver.rpartition("/")
    directory = os.open(place, os.O_PATH | os.O_DIRECTORY)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.connect(f"/proc/self/fd/{directory}/{name}")
    descriptors = b"".join(sock.fileno().to_bytes(4, sys.byteorder) for sock in listening)
    connection.sendmsg([b"1"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    # The server answers once it serves on them.
    if connection.recv(1) != b"1":
        raise OSError(0, "the server did not take the network")


def _make_read_only(call: Callable[..., int], folder: str, path: str) -> None:
    """Make a file or directory read-only in this mount namespace, if it is there, and no part of the path is a link.

    Others may change the folder at any time, so everything refers to what has been opened, and nothing to the path.
    """
    import ctypes

    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        for part in path.split("/"):
            descriptor = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError:
        return
    if os.fstat(descriptor).st_mode & _FILE_TYPE == _LINK:
        return
    tree = call(_OPEN_TREE, descriptor, b"", _OPEN_TREE_CLONE | _AT_EMPTY_PATH)
    # struct mount_attr: what to set, what to clear, propagation, user namespace
    attributes = _MOUNT_ATTR_RDONLY.to_bytes(8, sys.byteorder) + bytes(24)
    if (
        tree < 0
        or call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))
        or call(_MOVE_MOUNT, tree, b"", descriptor, b"", _MOVE_MOUNT_EMPTY_PATHS)
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"protection of {path}: {os.strerror(number)}")


def _install_signal_handlers(received: list[int]) -> int:
    """Return a file descriptor that becomes readable with each signal; append signals that request an end to
    ``received``.

    SIGINT is ignored: a terminal sends it to the whole foreground group, and the parent decides how to react.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP, KILL):
        signal.signal(number, lambda number, _: received.append(number))
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def _load_prctl() -> Callable[[int, int], object]:
    if not _LINUX:
        return lambda option, value: None
    # What ctypes.CDLL(None).prctl is made of. The rest of ctypes takes as long to import as all other modules here.
    import _ctypes

    function: int = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    return lambda option, value: _ctypes.call_cdeclfunction(function, (option, value))


def _reap(child: int) -> int | None:
    """Reap all exited children, adopted ones included; return the exit code of ``child`` if it is among them."""
    code = None
    try:
        while (exited := os.waitpid(-1, os.WNOHANG))[0]:
            if exited[0] == child:
                code = os.waitstatus_to_exitcode(exited[1])
    except ChildProcessError:
        pass
    return code if code is None or code >= 0 else 128 - code


def is_stopped(pid: int) -> bool:
    """Return whether a process can run no more code of its program, though it may not have ended. Linux only."""
    try:
        return all(_thread_flags(pid, thread) & _EXITING for thread in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False


def _thread_flags(pid: int, thread: str) -> int:
    with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:  # noqa: PTH123
        # The second field, a name in parentheses, may contain anything.
        return int(file.read().rpartition(b")")[2].split()[6])


def _stops_alone(child: int) -> bool:
    """Wait until a killed child is stopped; return whether it is the only descendant.

    Neither threads nor processes start under a killed process. Those that were started by a thread that ends go to
    another thread of the process, or, once all are exiting, to this process. None can therefore be missed who looks at
    the threads then, and at this process last, whose children stay until it reaps them.
    """
    for _ in range(_LOOKS):
        if is_stopped(child):
            this = os.getpid()
            try:
                threads = os.listdir(f"/proc/{child}/task")
                return not any(_children(child, thread) for thread in threads) and _children(this, this) == [child]
            except OSError:
                # A thread has ended meanwhile, or this kernel does not tell.
                pass
        select.select([], [], [], _LOOK)
    return False


def _children(pid: int, thread: str | int) -> list[int]:
    with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
        return [int(word) for word in file.read().split()]


def _is_childless() -> bool:
    """Reap all exited children; return True if none is left. A subreaper's descendants are below its children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _descendants() -> set[psutil.Process]:
    # Imported when it is needed: neither the child's start nor the usual end of a task waits for the import.
    if "site" not in sys.modules:
        import site

        site.main()
    import psutil

    return set(psutil.Process().children(recursive=True))


def _terminate_all(known: set[psutil.Process], *, kill: bool) -> None:
    """Terminate every descendant, then kill the rest, repeatedly: new ones may have started meanwhile."""
    for attempt in range(_ROUNDS):
        family = _descendants() | {process for process in known if process.is_running()}
        if not family:
            return
        import psutil

        for process in family:
            try:  # noqa: SIM105
                process.kill() if kill or attempt else process.terminate()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(family, timeout=_GRACE)


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))
