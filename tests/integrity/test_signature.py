"""Signatures by the real ssh-keygen, with keys made for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from leakaudit.errors import SignatureError
from leakaudit.integrity import Checked, Signers, check, locate

OFFICER = "officer@hospital.example"
MANIFEST = Path("report") / "manifest.json"
SIGNATURE = "report/manifest.json.sig"

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of an officer and of a stranger."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("officer", "stranger"):
        making = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]
        subprocess.run(making, check=True, cwd=folder)
    return folder


@pytest.fixture
def sign(keys: Path) -> Callable[..., None]:
    """Sign a file as the documentation tells it."""

    def signed(file: Path, key: str = "officer", namespace: str = "leakaudit") -> None:
        making = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(keys / key)]
        subprocess.run([*making, str(file)], check=True, stdin=subprocess.DEVNULL)

    return signed


@pytest.fixture
def listed(keys: Path, tmp_path: Path) -> Callable[..., Path]:
    """A list of signers with a line for each ``(principal, options, key)``."""

    def write(*lines: tuple[str, str, str]) -> Path:
        path = tmp_path / "signers"
        path.write_text(
            "".join(
                " ".join(filter(None, [who, options, (keys / f"{key}.pub").read_text()]))
                for who, options, key in lines
            )
        )
        return path

    return write


Sign = Callable[..., None]
Listed = Callable[..., Path]


def checked(run: Path, signers: Path, identity: str | None = None) -> Checked:
    return check(locate(run), Signers.read(signers, identity))


def refusal(found: Checked) -> str:
    """The one fault, which is about the signature."""
    (fault,) = found.faults
    assert fault.where == SIGNATURE
    assert found.signer is None
    return str(fault)


def test_a_signature_says_who_signed(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / MANIFEST)
    assert (run / SIGNATURE).exists()
    signers = listed((OFFICER, 'namespaces="leakaudit"', "officer"))
    for identity in (None, OFFICER):
        found = checked(run, signers, identity)
        assert found.faults == ()
        assert found.signer is not None
        assert found.signer.names == (OFFICER,)
        assert found.signer.key.startswith("ED25519 key SHA256:")
    unasked = check(locate(run))
    assert (unasked.faults, unasked.signed, unasked.signer) == ((), True, None)


def test_a_report_that_was_sent_by_mail_has_its_signature(
    run: Path, tmp_path: Path, sign: Sign, listed: Listed
) -> None:
    sign(run / MANIFEST)
    shutil.make_archive(str(tmp_path / "mail"), "zip", run / "report")
    shutil.unpack_archive(tmp_path / "mail.zip", tmp_path / "received")
    found = checked(tmp_path / "received", listed((OFFICER, "", "officer")))
    assert found.faults == ()
    assert found.signer is not None


SHARED = Path("share") / "manifest.json"


@pytest.fixture
def shared_run(run: Path) -> Path:
    """A run with the version of its report that may leave the house."""
    from leakaudit.cli.printing.sharing import share_report
    from leakaudit.report import read_report

    share_report(read_report(run / "report"), run / "report", None)
    return run


def test_a_shared_report_is_signed_in_its_own_folder(
    shared_run: Path, tmp_path: Path, sign: Sign, listed: Listed
) -> None:
    signers = listed((OFFICER, 'namespaces="leakaudit"', "officer"))
    (missing,) = checked(shared_run / "share", signers).faults
    assert str(missing) == "missing: manifest.json.sig: this report is not signed"
    sign(shared_run / SHARED)
    shutil.copytree(shared_run / "share", tmp_path / "received")
    for folder in (shared_run / "share", tmp_path / "received"):
        found = checked(folder, signers, OFFICER)
        assert found.faults == ()
        assert found.signer is not None
        assert found.signer.names == (OFFICER,)
    (stranger,) = checked(tmp_path / "received", listed((OFFICER, "", "stranger"))).faults
    assert (stranger.kind, stranger.where) == ("signature", "manifest.json.sig")


def test_the_signature_of_a_shared_report_is_checked_with_its_run(
    shared_run: Path, sign: Sign, listed: Listed
) -> None:
    sign(shared_run / MANIFEST)
    signers = listed((OFFICER, "", "officer"))
    unsigned = checked(shared_run, signers)
    assert unsigned.faults == ()  # who signs a report need not have signed what is shared of it
    sign(shared_run / SHARED)
    found = checked(shared_run, signers)
    assert found.faults == ()
    assert found.shared is not None
    assert found.shared.signer is not None
    assert check(locate(shared_run)).faults == ()
    (shared_run / "share" / "manifest.json.sig").unlink()
    sign(shared_run / SHARED, key="stranger")
    forged = checked(shared_run, signers)
    assert [one.where for one in forged.faults] == ["share/manifest.json.sig"]
    assert forged.signer is not None
    assert forged.shared is not None
    assert (forged.shared.signed, forged.shared.signer) == (True, None)


def test_all_who_share_a_key_are_named(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / MANIFEST)
    found = checked(run, listed((f"{OFFICER},deputy@hospital.example", "", "officer")))
    assert found.signer is not None
    assert found.signer.names == (OFFICER, "deputy@hospital.example")


def test_no_signature_is_a_fault_if_one_is_asked_for(run: Path, listed: Listed) -> None:
    told = refusal(checked(run, listed((OFFICER, "", "officer"))))
    assert told == f"missing: {SIGNATURE}: this report is not signed"


def test_a_signature_of_another_namespace_is_refused(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / MANIFEST, namespace="git")
    told = refusal(checked(run, listed((OFFICER, "", "officer"))))
    assert "it was not made for leakaudit; sign with ssh-keygen -Y sign -n leakaudit" in told


def test_a_signature_of_another_file_is_refused(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / "report" / "report.json")
    (run / "report" / "report.json.sig").rename(run / SIGNATURE)
    told = refusal(checked(run, listed((OFFICER, "", "officer"))))
    assert "it is not of this manifest.json" in told


def test_a_forger_who_writes_the_manifest_anew_is_found(
    run: Path, sign: Sign, listed: Listed
) -> None:
    from leakaudit.report import read_manifest, write_report
    from tests.integrity.conftest import small_report

    sign(run / MANIFEST)
    manifest = read_manifest(run / "report")
    assert manifest is not None
    forged = small_report().model_copy(update={"name": "forged"})
    write_report(forged, run / "report", run=manifest.run)
    assert check(locate(run)).faults == ()  # hashes alone do not show it
    told = refusal(checked(run, listed((OFFICER, "", "officer"))))
    assert "it is not of this manifest.json" in told


def test_a_file_that_changed_after_signing_is_found_though_the_signature_holds(
    run: Path, sign: Sign, listed: Listed
) -> None:
    sign(run / MANIFEST)
    page = run / "report" / "report.html"
    page.write_text(page.read_text() + "<!-- -->")
    found = checked(run, listed((OFFICER, "", "officer")))
    assert [fault.where for fault in found.faults] == ["report/report.html"]
    assert found.signer is not None


def test_a_stranger_is_refused(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / MANIFEST, key="stranger")
    signers = listed((OFFICER, "", "officer"))
    for identity in (None, OFFICER):
        assert "does not list" in refusal(checked(run, signers, identity))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('namespaces="git"', "key is not permitted for use in signature namespace"),
        ('valid-before="20200101"', "key has expired"),
    ],
)
def test_a_key_that_may_not_sign_this_or_no_longer_is_refused(
    run: Path, sign: Sign, listed: Listed, options: str, words: str
) -> None:
    sign(run / MANIFEST)
    told = refusal(checked(run, listed((OFFICER, options, "officer"))))
    assert "does not list" in told
    assert words in told


def test_another_identity_than_the_one_asked_for_is_refused(
    run: Path, sign: Sign, listed: Listed
) -> None:
    sign(run / MANIFEST)
    signers = listed((OFFICER, "", "officer"), ("head@hospital.example", "", "stranger"))
    told = refusal(checked(run, signers, "head@hospital.example"))
    assert "does not list as 'head@hospital.example'" in told
    for hostile in ("-h", "", "\x1b[2J", "*", "a b", "\udcff"):
        assert refusal(checked(run, signers, hostile)).isprintable()


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", b"-----BEGIN SSH SIGNATURE-----\n", b"\x1b[2J\n" * 9, b"\xff" * 100],
    ids=["empty", "junk", "cut", "codes", "bytes"],
)
def test_what_is_no_signature_is_refused(run: Path, listed: Listed, content: bytes) -> None:
    (run / SIGNATURE).write_bytes(content)
    told = refusal(checked(run, listed((OFFICER, "", "officer"))))
    assert "not a signature that ssh-keygen can read" in told
    assert told.isprintable()


def test_a_flipped_bit_of_a_signature_is_found(run: Path, sign: Sign, listed: Listed) -> None:
    sign(run / MANIFEST)
    signers = listed((OFFICER, "", "officer"))
    original = (run / SIGNATURE).read_bytes()
    start = original.index(b"\n") + 1
    for byte in range(start, original.index(b"-----END") - 4, 23):
        data = bytearray(original)
        data[byte] ^= 2
        (run / SIGNATURE).write_bytes(data)
        refusal(checked(run, signers))


def test_a_huge_signature_is_not_read(run: Path, listed: Listed) -> None:
    (run / SIGNATURE).touch()
    os.truncate(run / SIGNATURE, 10**12)
    assert "larger than" in refusal(checked(run, listed((OFFICER, "", "officer"))))


@pytest.mark.parametrize("content", ["", "garbage\n", "\x1b[2J x y z\n", "a b\x00c\n"])
def test_a_list_of_nobody_lets_nobody_sign(
    run: Path, tmp_path: Path, sign: Sign, content: str
) -> None:
    sign(run / MANIFEST)
    (tmp_path / "list").write_text(content)
    told = refusal(checked(run, tmp_path / "list"))
    assert "does not list" in told
    assert told.isprintable()


def test_a_list_that_is_no_file_is_an_error_with_the_cure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere", "pipe", ".", "/dev/zero"):
        with pytest.raises(SignatureError, match="expected a list of allowed signers"):
            Signers.read(tmp_path / name)


def test_without_ssh_keygen_there_is_an_error_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signers").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SignatureError, match=r"not on the PATH; install OpenSSH 8\.2 or newer"):
        Signers.read(tmp_path / "signers")


def test_an_old_ssh_keygen_is_an_error_with_the_cure(
    run: Path, tmp_path: Path, sign: Sign, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(run / MANIFEST)
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SignatureError, match=r"cannot check signatures.*OpenSSH 8\.2"):
        checked(run, listed((OFFICER, "", "officer")))
