"""The file of a backup: a tar stream in zstd whose first member lists every other one with its size and SHA-256.

Nothing that an archive says is believed: names are checked before anything is written, a member has to have the
size and hash that the list gives, links and other kinds of members are refused, and no more is decompressed than the
list allows for. ``tar --zstd -tf`` shows what is in one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from resources.backup.contents import is_of_the_state
from trading_dag.errors import BackupError

if TYPE_CHECKING:
    from resources.backup.snapshot import Snapshot

LISTING: Final = "MANIFEST.json"
FORMAT: Final = 1
LARGEST_LISTING: Final = 256 << 20
_BLOCK: Final = 1 << 20
LONGEST_PATH: Final = 400
_HEADERS: Final = 5 * 512  # of a member: its header, its name where that is long, the fill of its last block
_RECORD: Final = 10_240 * 4  # a tar ends on whole records


@dataclass(frozen=True)
class Member:
    """Names one file of a backup.

    Attributes
    ----------
    path : below the home, with slashes.
    bytes, sha256 : size and hash of its content.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Lists what a backup holds.

    Attributes
    ----------
    made_at : ISO time, UTC.
    version : of the project that made it.
    members : every file.
    damaged : slices that were damaged when the backup was made, with what is wrong with each.
    """

    made_at: str
    version: str
    members: tuple[Member, ...]
    damaged: dict[str, str]

    @property
    def bytes(self) -> int:
        """Return the size of all files together."""
        return sum(member.bytes for member in self.members)


def list_members(snapshot: Snapshot) -> tuple[Member, ...]:
    """Return every file of a snapshot with its size and hash."""
    return tuple(Member(path, *_measure(snapshot.root / path)) for path in snapshot.paths)


def write_archive(target: Path, root: Path, manifest: Manifest) -> None:
    """Write an archive beside ``target``, flush it to disk and rename it over ``target``.

    Raises
    ------
    BackupError : where a file is not what was listed.
    """
    import pyarrow as pa

    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # orders are nobody else's business
        with (
            pa.CompressedOutputStream(pa.OSFile(str(partial), "wb"), "zstd") as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as archive,
        ):
            text = json.dumps({"format": FORMAT, **asdict(manifest)}, ensure_ascii=False).encode()
            _add(archive, LISTING, io.BytesIO(text), len(text))
            for member in manifest.members:
                with (root / member.path).open("rb") as content:
                    _add(archive, member.path, content, member.bytes)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def extract(source: Path, into: Path) -> Manifest:
    """Write the files of an archive below an empty folder, each compared with its size and hash; return its list.

    Raises
    ------
    BackupError : for a file that is no backup or is damaged, for a name that may not be written, and where the disk has
        no room for what it holds.
    """
    manifest: Manifest | None = None
    awaited: dict[str, Member] = {}
    with _opened(source) as (archive, stream):
        for header in archive:
            content = archive.extractfile(header) if header.isreg() else None
            if content is None:
                raise BackupError(f"{source}: {header.name!r} is no file but a link or the like; nothing was restored")
            if manifest is None:
                manifest = _listing(source, header, content)
                _require_room(source, into, manifest)
                awaited = {member.path: member for member in manifest.members}
                stream.allowed += manifest.bytes + (len(awaited) + 2) * _HEADERS + _RECORD
                continue
            member = awaited.pop(header.name, None)
            if member is None:
                raise BackupError(f"{source}: {header.name!r} is not in its list, or is there twice")
            _write(source, content, into / member.path, member)
    if manifest is None or awaited:
        missing = next(iter(awaited), LISTING)
        raise BackupError(
            f"{source}: {missing} is missing, and {max(len(awaited) - 1, 0)} others; it is no whole backup"
        )
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Return the list of an archive, without comparing the files with it.

    Raises
    ------
    BackupError : for a file that is no backup.
    """
    with _opened(source) as (archive, _):
        header = archive.next()
        content = archive.extractfile(header) if header is not None and header.isreg() else None
        if header is None or content is None:
            raise BackupError(f"{source} is no backup: it is empty")
        return _listing(source, header, content)


class _Bounded(io.RawIOBase):
    """Reads a decompressed stream, and no more of it than is allowed for."""

    def __init__(self, source: Path, stream: IO[bytes]) -> None:
        super().__init__()
        self.allowed = LARGEST_LISTING
        self._source, self._stream = source, stream

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(min(size, self.allowed + 1) if size >= 0 else self.allowed + 1)
        self.allowed -= len(content)
        if self.allowed < 0:
            raise BackupError(f"{self._source} holds more than its list says; nothing was restored")
        return content


@contextmanager
def _opened(source: Path) -> Iterator[tuple[tarfile.TarFile, _Bounded]]:
    import pyarrow as pa

    if not source.is_file():
        raise BackupError(f"{source} is no file")
    try:
        with pa.CompressedInputStream(pa.OSFile(str(source), "rb"), "zstd") as packed:
            stream = _Bounded(source, packed)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                yield archive, stream
    except (tarfile.TarError, EOFError, pa.ArrowException) as error:
        raise BackupError(f"{source} is no backup, or is damaged: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise  # of this machine's disk, not of the archive
        raise BackupError(f"{source} is no backup, or is damaged: {error}") from error


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o644
    archive.addfile(header, content)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as content:
        return path.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()


def _listing(source: Path, header: tarfile.TarInfo, content: IO[bytes]) -> Manifest:
    if header.name != LISTING:
        raise BackupError(f"{source} is no backup: it begins with {header.name!r}, not with {LISTING}")
    try:
        told = json.loads(content.read())
        if told.pop("format") != FORMAT:
            raise BackupError(f"{source} is of another format than {FORMAT}: restore it with the version that made it")
        members = tuple(_member(entry) for entry in told.pop("members"))
        manifest = Manifest(members=members, **told)
        texts = (manifest.made_at, manifest.version, *manifest.damaged, *manifest.damaged.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"{source}: its {LISTING} cannot be read: {error}") from error
    if not all(isinstance(text, str) for text in texts):
        raise BackupError(f"{source}: its {LISTING} cannot be read: a text is none")
    if len({member.path for member in members}) < len(members):
        raise BackupError(f"{source}: its {LISTING} names a file twice")
    return manifest


def _member(entry: dict[str, Any]) -> Member:
    member = Member(**entry)
    if type(member.bytes) is not int or member.bytes < 0 or not isinstance(member.sha256, str):
        raise ValueError(f"{member.path!r} has no size or no hash")
    if not is_safe(member.path):
        raise ValueError(f"{member.path!r} may not be written")
    return member


def is_safe(path: object) -> bool:
    """Return whether a path is one of a state's files below a home, and can leave it by no means."""
    if not isinstance(path, str) or not path.isprintable() or "\\" in path or len(path) > LONGEST_PATH:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/")) and is_of_the_state(path)


def _require_room(source: Path, into: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(into).free
    if manifest.bytes > free:
        raise BackupError(
            f"{source} holds {manifest.bytes / 1e6:,.0f} MB, and {into} has room for {free / 1e6:,.0f} MB; nothing was "
            "restored"
        )


def _write(source: Path, content: IO[bytes], path: Path, member: Member) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            while block := content.read(_BLOCK):
                digest.update(block)
                size += len(block)
                target.write(block)
    except (FileExistsError, NotADirectoryError) as error:
        raise BackupError(f"{source}: {member.path!r} is a file and a folder at once") from error
    if (size, digest.hexdigest()) != (member.bytes, member.sha256):
        raise BackupError(f"{source}: {member.path} is not what was backed up; nothing was restored")
