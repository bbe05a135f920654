"""An object store that speaks S3, through fsspec: whole objects that are read, listed, and replaced if still as seen.

Which local files these objects are stands in ``working_copy``. Address and rights come from AWS's own variables
(``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, …) or from the machine's role, never from a file of the project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from trading_dag.errors import ConfigurationError, ObjectStoreError, SliceBusyError

SCHEME: Final = "s3://"
# An object is put in one request, which S3 takes to 5 GB: only such a put can be tied to the version it replaces.
_ONE_REQUEST: Final = 5 * 2**30
_REPLACED: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
LISTED_AT_ONCE: Final = 1_000
_READ_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class Bucket:
    """Reads and writes the objects below one address, such as ``s3://bucket/prefix``.

    An object's version is what the store calls its ETag; it changes whenever the object is put.
    """

    url: str

    def version(self, name: str) -> str | None:
        """Return the version of an object as of now; None where there is none."""
        with self._asking(name):
            try:
                answer = self._files.call_s3("head_object", **self._place(name))
            except FileNotFoundError:
                self._must_exist()
                return None
        return str(answer["ETag"])

    def versions(self, folder: str) -> dict[str, str]:
        """Return the versions of all objects below a folder by their names, as of now."""
        bucket, prefix = self._parts
        start = f"{prefix}/{folder}/" if prefix else f"{folder}/"
        with self._asking(folder):
            found = {name: str(entry["ETag"]) for name, entry in self._listed(bucket, start)}
        return {f"{folder}/{name.removeprefix(start)}": version for name, version in found.items()}

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and their version; None where there is none."""
        place = self._place(name)
        with self._asking(name):
            for _ in range(_READ_ATTEMPTS):
                try:
                    with self._files.open(f"{place['Bucket']}/{place['Key']}", "rb", cache_type="all") as file:
                        return bytes(file.read()), str(file.details["ETag"])
                except FileNotFoundError:
                    self._must_exist()
                    return None
                except OSError as error:
                    if not _was_replaced(error):
                        raise
        raise SliceBusyError(f"{self.url}/{name} was replaced {_READ_ATTEMPTS} times while it was read")

    def replace(self, name: str, content: bytes, *, seen: str | None) -> str:
        """Put an object whole, in one request, and return its version.

        Parameters
        ----------
        seen : the version that is to be replaced; None where there was none.

        Raises
        ------
        SliceBusyError : where another version is there by now; it stays.
        """
        place = self._place(name)
        condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen}
        with self._asking(name):
            try:
                answer = self._files.pipe_file(
                    f"{place['Bucket']}/{place['Key']}", content, chunksize=_ONE_REQUEST, **condition
                )
            except OSError as error:
                if not (_was_replaced(error) or isinstance(error, FileNotFoundError)):
                    raise
                self._must_exist()
                own = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
                if self.version(name) == own:  # the answer to an earlier try was lost
                    return own
                raise SliceBusyError(
                    f"{self.url}/{name} was written from elsewhere since it was read here; nothing was replaced. Run "
                    "again"
                ) from error
        return str(answer["ETag"])

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with self._asking(name):
            self._files.call_s3("delete_object", **self._place(name))

    @property
    def _parts(self) -> tuple[str, str]:
        bucket, _, prefix = self.url.removeprefix(SCHEME).partition("/")
        return bucket, prefix

    def _place(self, name: str) -> dict[str, str]:
        bucket, prefix = self._parts
        return {"Bucket": bucket, "Key": f"{prefix}/{name}" if prefix else name}

    def _listed(self, bucket: str, start: str) -> Iterator[tuple[str, dict[str, Any]]]:
        more: dict[str, str] = {}
        while True:
            answer = self._files.call_s3("list_objects_v2", Bucket=bucket, Prefix=start, MaxKeys=LISTED_AT_ONCE, **more)
            entries = answer.get("Contents", ())
            # Some tools mark a folder by an object without a name.
            yield from ((entry["Key"], entry) for entry in entries if not entry["Key"].endswith("/"))
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _must_exist(self) -> None:
        """Demand that the bucket is there: an object that is missing from one that is gone proves nothing.

        Raises
        ------
        FileNotFoundError : where it is not.
        """
        self._files.call_s3("list_objects_v2", Bucket=self._parts[0], MaxKeys=1)

    @property
    def _files(self) -> Any:
        """The library's file system; it is asked for each time, for a forked process needs another one."""
        try:
            import s3fs
        except ImportError:
            raise ConfigurationError(
                f"{self.url}: the library for it is not installed; pip install -c constraints.txt -e '.[scale]'"
            ) from None
        return s3fs.S3FileSystem(use_listings_cache=False)

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """Turn what the library raises into the project's error.

        Raises
        ------
        ObjectStoreError : naming the object and the reason.
        """
        from botocore.exceptions import BotoCoreError

        try:
            yield
        except (OSError, BotoCoreError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ObjectStoreError(
                f"{self.url}/{name} cannot be reached ({reason}). Look at TRADING_DAG_DATA_URL, AWS_ENDPOINT_URL and "
                "the rights of AWS_ACCESS_KEY_ID"
            ) from error


def _was_replaced(error: BaseException) -> bool:
    """Whether a request was refused because the object is another one by now."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict) and str(answer.get("Error", {}).get("Code")) in _REPLACED:
            return True
        error = error.__cause__  # type: ignore[assignment]
    return False
