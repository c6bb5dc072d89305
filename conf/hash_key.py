"""The secret key of all hashes of note text.

Owns: where the key comes from (an environment variable, else a private file that is made at first
use) and when it is refused. No message shows the key or a piece of it. Does not know what is
hashed.
"""

import os
import re
import secrets
import stat
from pathlib import Path
from shlex import quote

from conf.faults import SettingsError

HASH_KEY_VARIABLE = "CLINSPAN_HASH_KEY"
KEY_BYTES = 32  # as long as the output of SHA-256: what RFC 2104 asks of an HMAC key
MOST_FILE_BYTES = 4096
_MAKE_KEY = "python3 -c 'import secrets; print(secrets.token_hex(32))'"


def load_hash_key(path: Path) -> bytes:
    """Returns the key from CLINSPAN_HASH_KEY if that is set, else from the file.

    A missing file is made. If several processes make it at once, one wins and all return its key.
    `~` is not expanded here: the settings do that.

    Raises:
        SettingsError: the variable or the file holds no usable key, or the file cannot be read or
            made, or others may read it.
    """
    from_environment = os.environ.get(HASH_KEY_VARIABLE)
    if from_environment is not None:
        mend = f"make one with {_MAKE_KEY}, or unset the variable to use a key file"
        return _decode(from_environment, HASH_KEY_VARIABLE, mend)
    try:
        try:
            return _read_file(path)
        except FileNotFoundError:
            _create_file(path)
            return _read_file(path)
    except OSError as error:
        mend = (
            "give a file in a folder of your own on a local disk with --set "
            f"security.hash_key_file=PATH, or set {HASH_KEY_VARIABLE}"
        )
        rule = f"cannot be read or made ({error.strerror})"
        raise SettingsError(f"hash key file {path}: {rule}; {mend}") from None


def _read_file(path: Path) -> bytes:
    # Non-blocking, so that a pipe does not hang here but is refused below. Links are followed,
    # because the secrets that a cluster mounts are links.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SettingsError(f"hash key file {path}: must be a plain file; give another path")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            rule = f"must be closed to group and others, but has mode {mode:04o}"
            mend = f"run: chmod 600 {quote(str(path))}"
            raise SettingsError(f"hash key file {path}: {rule}; {mend}")
        content = file.read(MOST_FILE_BYTES + 1)
    mend = (
        "restore the key that the tables were made with; if there are no tables yet, "
        "remove the file and a new one is made"
    )
    return _decode(content.decode("ascii", errors="replace"), f"hash key file {path}", mend)


def _decode(text: str, source: str, mend: str) -> bytes:
    digits = text.strip()
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", digits) or len(digits) > MOST_FILE_BYTES:
        found = "holds something else (or an odd number of digits)"
    elif len(digits) < 2 * KEY_BYTES:
        found = f"has {len(digits)}"
    else:
        return bytes.fromhex(digits)
    rule = f"must be at least {2 * KEY_BYTES} hexadecimal digits"
    raise SettingsError(f"{source}: {rule}, but {found}; {mend}")


def _create_file(path: Path) -> None:
    """Puts a complete new key file at `path`, unless another process has done so first.

    The key is written to a draft file, which is then linked to `path`. The link fails if the name
    is taken, and nobody ever sees half a key. O_EXCL on the final name alone would allow that.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask says
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
