"""Fetching: a model is in the data folder wholly and verified, or not at all.

Files arrive beside their place as ``NAME.part``, where an interrupted download goes on; a file is moved to its place
when size and digest are right. ``model.json`` is written last and is what makes the folder a model.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from vivavoce.core.atomic import atomic_write, storage_error
from vivavoce.core.errors import PartError, StorageError
from vivavoce.core.places import data_folder
from vivavoce.hub.catalogue import KnownFile, KnownModel, catalogue, licence_text
from vivavoce.hub.sources import InFolder, Source, mirrors

Report = Callable[[str, int, int], None]
"""Called with a file's name, the bytes of the model that are there, and the bytes that it has in all."""
DESCRIPTION = "model.json"
_ROOM = 64 << 20
"""Bytes that are left free on the disk."""


def models_folder() -> Path:
    """Where fetched models lie."""
    return data_folder() / "models"


def folder_of(name: str) -> Path:
    """Where a model lies or would lie; ``hf:OWNER/NAME`` too. PartError for what names no folder of its own."""
    plain = name.removeprefix("hf:").replace("/", "--")
    if plain in ("", ".", "..") or "\0" in plain:
        raise PartError(f"{name!r} is no name of a model; `vivavoce models list` shows those that there are")
    return models_folder() / plain


def is_here(model: KnownModel) -> bool:
    """Whether a model was fetched, in the state that the catalogue means."""
    folder = folder_of(model.name)
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = {file.name: file.sha256 for file in model.files}
    return (
        isinstance(described, dict)
        and described.get("files") == wanted
        and all(
            (folder / file.name).is_file() and (folder / file.name).stat().st_size == file.bytes for file in model.files
        )
    )


def fetched(name: str) -> KnownModel | None:
    """The model that was fetched under a name, by its folder alone: nobody is asked what it is now.

    None where a file is missing or has not the digest that it was published with.
    """
    folder = folder_of(name)
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        files = tuple(
            KnownFile(name=file, bytes=(folder / file).stat().st_size, sha256=digest, source=InFolder(folder / file))
            for file, digest in described["files"].items()
        )
        if described["name"] != name or any(_digest(folder / file.name) != file.sha256 for file in files):
            return None
        return KnownModel(**(described | {"title": name, "files": files}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # what is there is no description
        return None


def place(model: KnownModel) -> Path:
    """The folder of a model that was fetched; PartError says how to fetch it."""
    if not is_here(model):
        size = model.bytes / 1e6
        raise PartError(
            f"{model.name} is not on this machine; fetch its {size:.0f} MB: vivavoce models get {model.name}"
        )
    return folder_of(model.name)


def check_here(choices: Collection[str]) -> None:
    """Raises PartError with one command for all when several models of the catalogue are wanted and not there."""
    missing = [model for model in catalogue() if model.name in choices and not is_here(model)]
    if len(missing) > 1:
        names, size = [model.name for model in missing], sum(model.bytes for model in missing) / 1e6
        raise PartError(
            f"{' and '.join(names)} are not on this machine; fetch their {size:.0f} MB: "
            f"vivavoce models get {' '.join(names)}"
        )


def get(model: KnownModel, report: Report = lambda name, done, total: None) -> Path:
    """Fetches what is missing or damaged of a model and gives its folder.

    Raises PartError when a file cannot be had or is not what was published, StorageError when it does not fit.
    """
    folder = folder_of(model.name)
    for file in model.files:
        _check_name(file.name)
    if is_here(model) and all(_digest(folder / file.name) == file.sha256 for file in model.files):
        return folder
    elsewhere = mirrors()
    with _alone(folder):
        there = sum(_have(folder, file) for file in model.files)
        _room_for(folder, model.bytes - there)
        done = 0
        for file in model.files:
            _fetch(folder, file, (*elsewhere.get(file.sha256, ()), file.source), _progress(report, file, done, model))
            done += file.bytes
        try:
            with atomic_write(folder / "LICENCE.txt") as path:
                path.write_text(f"{model.credit}\n{model.licence}\n\n{licence_text(model.licence)}", encoding="utf-8")
            described = {
                "name": model.name,
                "kind": model.kind,
                "family": model.family,
                "repository": model.repository,
                "revision": model.revision,
                "licence": model.licence,
                "credit": model.credit,
                "files": {file.name: file.sha256 for file in model.files},
            }
            with atomic_write(folder / DESCRIPTION) as path:
                path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise storage_error(folder, error) from error
    return folder


def remove(name: str) -> int:
    """Deletes a fetched model; gives the bytes that were freed. PartError when there is none of this name."""
    folder = folder_of(name)
    if not folder.is_dir() or folder.parent != models_folder():
        raise PartError(f"there is no model {name!r} in {models_folder()}; `vivavoce models list` shows what is")
    with _alone(folder):
        freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        (folder / DESCRIPTION).unlink(missing_ok=True)  # first, so that a half-deleted folder is no model
        shutil.rmtree(folder)
    return freed


def _check_name(name: str) -> None:
    """PartError for a file's name that leads out of the model's folder."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
        raise PartError(f"the file {name!r} would lie outside of the model's folder; nothing was fetched")


def _have(folder: Path, file: KnownFile) -> int:
    for path in (folder / file.name, folder / f"{file.name}.part"):
        if path.is_file():
            return min(path.stat().st_size, file.bytes)
    return 0


def _room_for(folder: Path, missing: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < missing + _ROOM:
        raise StorageError(
            f"{folder} has {free / 1e6:.0f} MB left and {(missing + _ROOM) / 1e6:.0f} MB are needed; "
            "free some space or set VIVAVOCE_DATA to another folder"
        )


def _progress(report: Report, file: KnownFile, before: int, model: KnownModel) -> Callable[[int], None]:
    return lambda done: report(file.name, before + done, model.bytes)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps two processes from writing one model at once; the second waits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _fetch(folder: Path, file: KnownFile, sources: tuple[Source, ...], report: Callable[[int], None]) -> None:
    """One file from the first source that has it; what an earlier attempt brought is kept if it fits."""
    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file() and _digest(path) == file.sha256:
        report(file.bytes)
        return
    problems: list[str] = []
    if part.is_file() and _digest(part) == file.sha256:  # an earlier attempt ended between the two
        os.replace(part, path)
        report(file.bytes)
        return
    for source in sources:
        continued = part.is_file() and part.stat().st_size > 0
        for _ in range(2 if continued else 1):  # what was here may be of another file; then all is fetched anew
            try:
                _download(part, file, source, report)
            except PartError as error:
                problems.append(str(error))
                break
            if part.stat().st_size == file.bytes and _digest(part) == file.sha256:
                os.replace(part, path)
                return
            if part.stat().st_size < file.bytes:
                problems.append(f"{file.name} broke off after {part.stat().st_size} of {file.bytes} bytes")
                break
            part.unlink()
            problems.append(f"{file.name} is not the file that was published (its digest differs); it was thrown away")
    raise PartError(f"{'; '.join(dict.fromkeys(problems))}; try again: what is here already is kept")


def _download(part: Path, file: KnownFile, source: Source, report: Callable[[int], None]) -> None:
    begin = part.stat().st_size if part.is_file() else 0
    if begin >= file.bytes:  # whole but wrong, or too long
        part.unlink()
        begin = 0
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(part, "ab") as out:
            for block in source.read(begin):
                out.write(block)
                begin += len(block)
                report(min(begin, file.bytes))
                if begin > file.bytes:
                    return
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise storage_error(part, error) from error


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
