"""Signatures of releases, by `ssh-keygen -Y`: already on every host, and it works offline."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from visantctl.errors import Problem, Refused

NAMESPACE = "visant-release"
"""Ties a signature to its purpose: one made for something else with the same key is refused."""


def verify(content: bytes, signature: bytes, allowed_signers: Path) -> str:
    """Name of the signer; Refused when the signature is not by one of `allowed_signers`."""
    if not allowed_signers.is_file() or not allowed_signers.read_bytes().strip():
        raise Refused(
            f"{allowed_signers} is missing or empty, so no release can be trusted: "
            f"copy deployment/allowed_signers of the project that makes your releases there"
        )
    with tempfile.NamedTemporaryFile(prefix="visant-", suffix=".sig") as file:
        file.write(signature)
        file.flush()
        found = _ssh_keygen("find-principals", "-s", file.name, "-f", str(allowed_signers))
        if found.returncode != 0 or not found.stdout.strip():
            raise Refused("the release's signature is not by a key of allowed_signers")
        signer = found.stdout.decode(errors="replace").splitlines()[0].split(",")[0].strip()
        checked = _ssh_keygen(
            "verify", "-f", str(allowed_signers), "-I", signer, "-n", NAMESPACE, "-s", file.name, content=content
        )
    if checked.returncode != 0:
        why = (checked.stderr or checked.stdout).decode(errors="replace").strip().splitlines()
        raise Refused(f"the release's signature does not match its content: {why[-1] if why else 'no reason given'}")
    return signer


def verify_own_list(content: bytes, signature: bytes, signers: str) -> None:
    """Refused when the key list that a release brings does not know the key that signed this release.

    Such a list, taken over, could shut a device off from all that comes later.
    """
    with tempfile.NamedTemporaryFile(prefix="visant-", suffix=".signers") as file:
        file.write(signers.encode(errors="replace"))
        file.flush()
        try:
            verify(content, signature, Path(file.name))
        except Refused:
            raise Refused(
                "the release's allowed_signers does not hold the key that signed it: list both keys in one release, "
                "drop the old one in the next"
            ) from None


def _ssh_keygen(action: str, *arguments: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", action, *arguments], input=content, capture_output=True, timeout=30, check=False
        )
    except FileNotFoundError:
        raise Problem("ssh-keygen is missing: apt-get install openssh-client") from None
