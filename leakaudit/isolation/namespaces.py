"""Linux namespaces of a process, by the system calls of libc; no other program is needed.

Everything here either happens whole or leaves the process with the view of files that it had.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_NEW_USERS, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _BIND, _RECURSIVE, _PRIVATE = 0x1, 0x2, 0x1000, 0x4000, 0x40000
_DETACH = 2
# Numbers that every architecture shares (Linux 5.12), and two that are looked up.
_MOUNT_SETATTR, _OF_HERE, _AT_RECURSIVE = 442, -100, 0x8000
_PIVOT_ROOT = {"x86_64": 155}.get(os.uname().machine, 41)
_CAPSET = {"x86_64": 126}.get(os.uname().machine, 91)
_DIE_WITH_PARENT, _DROP_BOUND, _NO_NEW_PRIVILEGES = 1, 24, 38

# What libraries read of a system; no process, no user's folder.
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd"),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)


def own_users_and_processes() -> bool:
    """Give this process users of its own and its next child processes of its own, or say no."""
    if sys.platform != "linux":
        return False
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", _NEW_USERS | _NEW_PROCESSES)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(text)
    except OSError:
        return False
    return True


def own_everything(root: str, readable: Sequence[str], hidden: Sequence[str]) -> bool:
    """Leave this process the files of ``readable`` and of the system, read-only, and no network.

    Args:
        root: an empty folder to build its view of files in; in the view it is empty as well.
        readable: absolute paths; what does not exist is left out.
        hidden: real paths of folders that are shown empty.

    Returns:
        Whether it is so; if not, the view is what it was.
    """
    paths = [path for path in (*_SYSTEM, *readable) if os.path.exists(path)]
    real = {os.path.realpath(path) for path in paths}
    roots = sorted(p for p in real if not any(str(q) in real for q in Path(p).parents))
    try:
        _call("unshare", _NEW_MOUNTS | _NEW_NETWORK | _NEW_IPC | _NEW_NAMES)
        _mount("none", "/", None, _RECURSIVE | _PRIVATE)
        _mount("tmpfs", root, "tmpfs", _NO_SUID, "size=256m,mode=755")
        for path in roots:
            if path not in hidden:
                _show(root, path)
        for path in sorted(hidden):
            if os.path.isdir(root + path):
                _mount("tmpfs", root + path, "tmpfs", _READ_ONLY, "size=4k,mode=555")
        for folder in ("/tmp", "/dev/shm", root):
            os.makedirs(root + folder, exist_ok=True)
        os.chdir(root)
        _system_call(_PIVOT_ROOT, b".", b".")
    except OSError:
        return False
    _call("umount2", b".", _DETACH)
    os.chdir("/")
    for path in paths:
        if not os.path.lexists(path):
            with suppress(OSError):  # a path through a link, whose target is shown
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.symlink(os.path.realpath(path), path)
    _drop_privileges()
    return True


def _show(root: str, path: str) -> None:
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(path, target, None, _BIND | _RECURSIVE)
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    _system_call(
        _MOUNT_SETATTR, _OF_HERE, target.encode(), _AT_RECURSIVE, attributes, len(attributes)
    )


def _drop_privileges() -> None:
    """Without these no mount can be undone, also not by a program that this process starts."""
    last = 63
    with suppress(OSError):  # the numbers end at what this kernel knows
        for number in range(last + 1):
            _call("prctl", _DROP_BOUND, number, 0, 0, 0)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _system_call(_CAPSET, struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", *(0,) * 6))


def die_with_parent() -> None:
    """Kill this process when the one that forked it ends."""
    _call("prctl", _DIE_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)


def wipe_start_of_stack() -> None:
    """Overwrite the arguments and the environment that the program was started with."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    arguments, arguments_end, environment, environment_end = map(int, fields[45:49])
    _libc().clearenv()
    ctypes.memset(arguments, 0, arguments_end - arguments)
    ctypes.memset(environment, 0, environment_end - environment)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    encoded = None if kind is None else kind.encode()
    _call("mount", source.encode(), target.encode(), encoded, flags, options.encode())


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: bytes | int | None) -> None:
    if getattr(_libc(), name)(*map(_argument, arguments)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _system_call(number: int, *arguments: bytes | int) -> None:
    _call("syscall", number, *arguments)


def _argument(value: bytes | int | None) -> object:
    # A plain int would be passed as 32 bits.
    return ctypes.c_long(value) if isinstance(value, int) else value
