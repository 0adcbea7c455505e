"""Detached signatures of a manifest, made and checked by ssh-keygen -Y; nothing is asked online."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from leakaudit.errors import SignatureError

NAMESPACE = "leakaudit"
_LARGEST_SIGNERS = 1_000_000
_SECONDS = 60
_GOOD = re.compile(r'Good "leakaudit" signature .*?with (\S+ key \S+)')
_OPENSSH = "OpenSSH 8.2 or newer (on Debian and Ubuntu: apt install openssh-client)"


class SignatureRefused(Exception):  # noqa: N818  (a finding, not a failure of the program)
    """A signature does not hold; the message says why."""


@final
@dataclass(frozen=True)
class SignedBy:
    """The signer of a file.

    Args:
        names: principals that the list of signers gives the key.
        key: its kind and fingerprint, as ssh-keygen says them.
    """

    names: tuple[str, ...]
    key: str


@final
@dataclass(frozen=True)
class Signers:
    """The list of those who may have signed.

    Args:
        path: where the list is, for messages.
        content: of the list, in the form of ssh-keygen's ALLOWED SIGNERS.
        identity: the principal who must have signed; None for anyone in the list.
        program: path of ssh-keygen.
    """

    path: Path
    content: bytes
    identity: str | None
    program: str

    @classmethod
    def read(cls, path: Path, identity: str | None = None) -> Signers:
        """Read the list, and find ssh-keygen.

        Raises:
            SignatureError: one of them is not there, or the list is not a file.
        """
        program = shutil.which("ssh-keygen")
        if program is None:
            raise SignatureError(
                "expected ssh-keygen, which checks signatures, and it is not on the PATH; install "
                f"{_OPENSSH}, or leave --signers out to check the hashes alone"
            )
        try:
            # A pipe would wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                content = file.read(_LARGEST_SIGNERS + 1) if regular else b""
        except OSError as error:
            raise SignatureError(
                f"{path}: expected a list of allowed signers: {error.strerror}"
            ) from error
        if not regular or len(content) > _LARGEST_SIGNERS:
            raise SignatureError(
                f"{path}: expected a list of allowed signers, a regular file of at most "
                f"{_LARGEST_SIGNERS} bytes"
            )
        return cls(path, content, identity, program)


def check_signature(manifest: bytes, signature: bytes, signers: Signers) -> SignedBy:
    """Check a signature over a manifest.

    Args:
        manifest: content of the signed file.
        signature: content of the file of the signature.
        signers: who may have signed.

    Raises:
        SignatureRefused: it does not hold.
        SignatureError: ssh-keygen cannot check it.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="leakaudit-") as name:
            folder = Path(name)
            (folder / "signature").write_bytes(signature)
            (folder / "signers").write_bytes(signers.content)
            return _checked(_Keygen(signers.program, folder, manifest), signers)
    except OSError as error:
        raise SignatureError(f"no signature can be checked: {error}") from error


def _checked(keygen: _Keygen, signers: Signers) -> SignedBy:
    made = keygen.ask("check-novalidate", "-n", NAMESPACE)
    found = _GOOD.search(made.stdout)
    if made.returncode or found is None:
        raise SignatureRefused(_why_not_good(made.stderr))
    key = found.group(1)
    names = keygen.principals() if signers.identity is None else (signers.identity,)
    permitted = [name for name in names if keygen.permits(name)]
    if permitted:
        return SignedBy(tuple(permitted), key)
    who = "" if signers.identity is None else f" as {signers.identity!a}"
    raise SignatureRefused(
        f"it was made by {key}, which {str(signers.path)!a} does not list{who} for "
        f"signatures of leakaudit{keygen.reason}"
    )


@final
class _Keygen:
    """Calls of ssh-keygen about one signature."""

    def __init__(self, program: str, folder: Path, manifest: bytes) -> None:
        self.program = program
        self.folder = folder
        self.manifest = manifest
        self.reason = ""

    def principals(self) -> tuple[str, ...]:
        """Whom the list gives the key that signed."""
        done = self.ask("find-principals", "-f", "signers")
        names = re.split(r"[\n,]", done.stdout) if done.returncode == 0 else []
        return tuple(name for name in names if name and not name.startswith("!"))

    def permits(self, name: str) -> bool:
        """Whether the list lets this principal sign for leakaudit with that key today."""
        arguments = ("-n", NAMESPACE, "-f", "signers", "-I", name)
        return self.ask("verify", *arguments).returncode == 0

    def ask(self, what: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call ``ssh-keygen -Y what``.

        Raises:
            SignatureError: it cannot be called, or knows no signatures.
        """
        try:
            done = subprocess.run(
                [self.program, "-Y", what, *arguments, "-s", "signature"],
                cwd=self.folder,
                input=self.manifest,
                capture_output=True,
                timeout=_SECONDS,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SignatureError(f"{self.program}: cannot be called ({error})") from error
        out, err = (text.decode("utf-8", "backslashreplace") for text in (done.stdout, done.stderr))
        if "unknown option" in err or "illegal option" in err or "No user exists" in err:
            said = ascii(err.splitlines()[0])
            raise SignatureError(
                f"{self.program} cannot check signatures, it says {said}; expected {_OPENSSH}"
            )
        told = [line for line in err.splitlines() if line.startswith("signers:")]
        if told:
            self.reason = f" (line {ascii(told[0].removeprefix('signers:'))[1:-1]})"
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _why_not_good(said: str) -> str:
    if "namespace" in said:
        return f"it was not made for leakaudit; sign with ssh-keygen -Y sign -n {NAMESPACE}"
    if "incorrect signature" in said:
        return (
            "it is not of this manifest.json: this was changed or written anew after it was signed"
        )
    lines = said.splitlines() or ["it gives no reason"]
    return f"it is not a signature that ssh-keygen can read: {lines[0]!a}"
