"""An attack that looks for the truth where it has no business, in every way we thought of.

It is told where to look, which is more than an attack knows, and recognises the truth by some bytes
of a victim's image whose bits are flipped, so that to know them is not to hold them.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch

import leakaudit
from leakaudit.api import Attack, Capability, Observation, Progress, Reconstruction

_FLIPPED = bytes(255 - value for value in range(256))
_NEW_USERS_AND_MOUNTS = 0x10000000 | 0x00020000


def flipped(raw: bytes) -> bytes:
    return raw.translate(_FLIPPED)


@final
@dataclass(frozen=True, kw_only=True)
class Cheat(Attack):
    """Say in a note what was found.

    Args:
        how: the name of a function of this module.
        masked: bytes of the truth, flipped, in hexadecimal.
        pid: of a process that holds it.
        address: where in its memory.
        folders: where files hold it.
        port: where somebody listens.
    """

    how: str
    masked: str = ""
    pid: int = 0
    address: int = 0
    folders: tuple[str, ...] = ()
    port: int = 0
    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.ACTIVATIONS})

    def run(
        self, observation: Observation, *, generator: torch.Generator, progress: Progress
    ) -> Reconstruction:
        found = CHEATS[self.how](self, observation)
        return Reconstruction(
            images=torch.full(observation.layout.image_shape, 0.5),
            objective_first=1.0,
            objective_last=0.5,
            iterations=1,
            notes=(found,) if found else (),
        )

    def knows(self, raw: bytes) -> bool:
        return bytes.fromhex(self.masked) in raw.translate(_FLIPPED)

    def is_truth(self, value: Any) -> bool:
        # By type, since some objects of torch warn when they are asked for anything.
        with suppress(Exception):  # tensors without storage, arrays of objects
            if issubclass(type(value), torch.Tensor):
                whole = torch.tensor([], dtype=torch.uint8)
                return self.knows(whole.set_(value.untyped_storage()).numpy().tobytes())
            return issubclass(type(value), np.ndarray) and self.knows(value.tobytes())
        return False

    def reachable_from(self, start: Iterable[object], most: int = 5_000_000) -> str:
        """The first truth among ``most`` objects that can be reached from ``start``."""
        queue, seen = list(start), set()
        for value in queue:
            if id(value) in seen:
                continue
            seen.add(id(value))
            if len(seen) > most:
                break
            if self.is_truth(value):
                return f"a {type(value).__name__}"
            queue.extend(gc.get_referents(value))
        return ""


def attributes(cheat: Cheat, observation: Observation) -> str:
    """Also what closures, cells, bound methods, partials, globals and their modules refer to."""
    held = object.__getattribute__(observation, "_held")
    return cheat.reachable_from([held, observation])


def collector(cheat: Cheat, observation: Observation) -> str:
    return cheat.reachable_from(gc.get_objects())


def frames(cheat: Cheat, observation: Observation) -> str:
    stacks: list[Any] = [sys._getframe(), *sys._current_frames().values()]
    for frame in stacks:
        if frame.f_back is not None:
            stacks.append(frame.f_back)
        found = cheat.reachable_from(frame.f_locals.values(), 5_000)
        if found:
            return found
    return ""


def modules(cheat: Cheat, observation: Observation) -> str:
    return cheat.reachable_from(
        [value for module in list(sys.modules.values()) for value in vars(module).values()]
    )


def _writable_memory(pid: int | str) -> Iterator[bytes]:
    with suppress(OSError), open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(part, 16) for part in span.split("-"))
                for at in range(start, end, 1 << 24):
                    with suppress(OSError):
                        memory.seek(at)
                        yield memory.read(min(1 << 24, end - at))


def own_memory(cheat: Cheat, observation: Observation) -> str:
    return "own memory" if any(map(cheat.knows, _writable_memory("self"))) else ""


def memory_of_others(cheat: Cheat, observation: Observation) -> str:
    for pid in (cheat.pid, os.getppid()):
        if any(map(cheat.knows, _writable_memory(pid))):
            return f"the memory of process {pid}"
    return ""


def memory_by_system_call(cheat: Cheat, observation: Observation) -> str:
    class Span(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    here = ctypes.create_string_buffer(len(cheat.masked) // 2)
    near, far = Span(ctypes.addressof(here), len(here)), Span(cheat.address, len(here))
    ctypes.CDLL(None).process_vm_readv(
        cheat.pid, ctypes.byref(near), ctypes.c_ulong(1), ctypes.byref(far), ctypes.c_ulong(1), 0
    )
    return "what process_vm_readv reads" if cheat.knows(here.raw) else ""


def processes(cheat: Cheat, observation: Observation) -> str:
    found = []
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in (os.getpid(), 1):
                with suppress(OSError):
                    Path(f"/proc/{name}/environ").read_bytes()
                    found.append(f"{name} in {os.readlink(f'/proc/{name}/cwd')}")
    return ", ".join(found)


def signals(cheat: Cheat, observation: Observation) -> str:
    with suppress(OSError):
        os.kill(cheat.pid, 0)
        return f"a process {cheat.pid} to send signals to"
    return ""


def environment(cheat: Cheat, observation: Observation) -> str:
    """Variables, arguments, and where the process is."""
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    raw = b"" if not environ or environ[0] is None else environ[0]
    for name in ("environ", "cmdline"):
        with suppress(OSError):
            raw += Path(f"/proc/self/{name}").read_bytes().strip(b"\0")
    said = [*os.environ, *sys.argv, *sys.orig_argv, raw.decode(errors="replace")]
    return " ".join([*said, *os.listdir(".")]).strip()


def files(cheat: Cheat, observation: Observation) -> str:
    folders = [*cheat.folders, "/", "."]
    for folder in folders:
        for above, below, names in os.walk(folder):
            below[:] = [name for name in below if name not in ("proc", "sys", "lib")]
            for name in names:
                path = Path(above, name)
                if path.suffix in (".npz", ".npy", ".safetensors", ".nii"):
                    with suppress(OSError):
                        if cheat.knows(path.read_bytes()):
                            return str(path)
    return ""


def files_unmasked(cheat: Cheat, observation: Observation) -> str:
    """The same after an attempt to take off what hides them, with privileges of one's own."""
    libc = ctypes.CDLL(None)
    libc.unshare(_NEW_USERS_AND_MOUNTS)
    for folder in cheat.folders:
        libc.umount2(folder.encode(), 2)
        libc.mount(b"none", folder.encode(), None, 0x1000 | 0x20, None)
    return files(cheat, observation)


def descriptors(cheat: Cheat, observation: Observation) -> str:
    """What is open beyond a pipe and three times nothing."""
    found = []
    nothing = os.stat("/dev/null").st_rdev
    for number in range(4096):
        with suppress(OSError):
            state = os.fstat(number)
            if number > 2 or state.st_rdev != nothing:
                found.append(f"{number} ({state.st_mode:o})")
                if cheat.knows(os.pread(number, 1 << 26, 0)):
                    return f"descriptor {number}"
    return "" if len(found) == 1 else ", ".join(found)


def network(cheat: Cheat, observation: Observation) -> str:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", cheat.port), timeout=2).close()
        return "the network"
    return ""


def code(cheat: Cheat, observation: Observation) -> str:
    """Whether the auditor's own code can be written to."""
    with suppress(OSError), open(leakaudit.__file__, "r+b"):
        return leakaudit.__file__
    return ""


def traced(cheat: Cheat, observation: Observation) -> str:
    """Whether a process that holds the truth can be stopped and read as a debugger does."""
    attach, detach = 16, 17
    if ctypes.CDLL(None).ptrace(attach, cheat.pid, None, None):
        return ""
    os.waitpid(cheat.pid, 0x40000000)
    ctypes.CDLL(None).ptrace(detach, cheat.pid, None, None)
    return "a process to trace"


def exit_0(cheat: Cheat, observation: Observation) -> str:
    os._exit(0)


def exit_5(cheat: Cheat, observation: Observation) -> str:
    sys.exit(5)


def segfault(cheat: Cheat, observation: Observation) -> str:
    return str(ctypes.string_at(0))


def killed(cheat: Cheat, observation: Observation) -> str:
    signal.raise_signal(signal.SIGKILL)
    return ""


def eat(cheat: Cheat, observation: Observation) -> str:
    return str(len([bytearray(10**9) for _ in range(4)]))


def hang(cheat: Cheat, observation: Observation) -> str:
    time.sleep(600)
    return ""


def busy(cheat: Cheat, observation: Observation) -> str:
    while True:
        pass


def raises(cheat: Cheat, observation: Observation) -> str:
    raise ValueError("the first line\nthe second")


CHEATS: dict[str, Callable[[Cheat, Observation], str]] = {
    each.__name__: each
    for each in (
        *(attributes, collector, frames, modules, own_memory, environment, descriptors),
        *(memory_of_others, memory_by_system_call, processes, signals),
        *(files, files_unmasked, network, code, traced),
        *(exit_0, exit_5, segfault, killed, eat, hang, busy, raises),
    )
}
# What no isolation lets through, and what namespaces are for.
ANYWHERE: tuple[str, ...] = (
    *("attributes", "collector", "frames", "modules", "own_memory", "environment", "descriptors"),
)
NAMESPACES: tuple[str, ...] = (
    *("memory_of_others", "memory_by_system_call", "processes", "signals"),
    *("files", "network", "code"),
)
