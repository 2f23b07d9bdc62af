"""Voices and consents, kept in SQLite: nobody's voice is imitated without a record that they agreed."""

import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from vivavoce.core.errors import ConsentError, StorageError, VoiceError
from vivavoce.core.voice import Consent, Voice
from vivavoce.server.names import stock_voice, unknown_voice

SCHEMA = """
CREATE TABLE IF NOT EXISTS consents (
    id TEXT PRIMARY KEY, created INTEGER NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL, recording BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS voices (
    id TEXT PRIMARY KEY, created INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
    prompt TEXT NOT NULL, sample BLOB NOT NULL, consent TEXT REFERENCES consents(id) ON DELETE CASCADE,
    identity INTEGER NOT NULL DEFAULT 0);
"""
DATABASE = "voices.sqlite"
_COLUMNS = "id, created, name, kind, prompt, sample, consent, identity"


@dataclass(frozen=True, slots=True)
class VoiceRecord:
    """A voice that somebody made; ``kind`` is ``audio_sample`` or ``prompt``."""

    id: str
    created: int
    name: str
    kind: str
    prompt: str
    sample: bytes
    consent: str | None
    identity: int = 0


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """That somebody agreed to be imitated, with the recording in which they say so.

    Where only somebody else says that they did (on the command line), there is no language and no recording.
    """

    id: str
    created: int
    name: str
    language: str


class VoiceStore:
    """The database; safe to use from several threads."""

    def __init__(self, folder: Path | None) -> None:
        """Opens or makes it; without a folder it lives in memory."""
        self._lock = threading.Lock()
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            path = ":memory:" if folder is None else str(folder / DATABASE)
            self._db = sqlite3.connect(path, check_same_thread=False)
            if folder is not None:
                (folder / DATABASE).chmod(0o600)  # recordings of people are nobody else's business
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(SCHEMA)
            if "identity" not in (row[1] for row in self._db.execute("PRAGMA table_info(voices)")):
                self._db.execute("ALTER TABLE voices ADD COLUMN identity INTEGER NOT NULL DEFAULT 0")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"Voices cannot be kept in {folder} ({error}); choose another folder with --data."
            ) from error

    def close(self) -> None:
        """Closes the database."""
        self._db.close()

    def _run(self, sql: str, *values: object) -> list[tuple]:
        try:
            with self._lock, self._db:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            raise StorageError(f"The voices cannot be written ({error}); free some space or change --data.") from error

    # ---- consents ----

    def add_consent(self, name: str, language: str, recording: bytes) -> ConsentRecord:
        """Writes a consent down."""
        record = ConsentRecord(f"cons_{secrets.token_hex(12)}", int(time.time()), name, language)
        self._run("INSERT INTO consents VALUES (?, ?, ?, ?, ?)", record.id, record.created, name, language, recording)
        return record

    def consent(self, key: str) -> ConsentRecord | None:
        """The consent of this id."""
        rows = self._run("SELECT id, created, name, language FROM consents WHERE id = ?", key)
        return ConsentRecord(*rows[0]) if rows else None

    def consents(self) -> list[ConsentRecord]:
        """All, newest first."""
        rows = self._run("SELECT id, created, name, language FROM consents ORDER BY created DESC, rowid DESC")
        return [ConsentRecord(*row) for row in rows]

    def rename_consent(self, key: str, name: str) -> ConsentRecord | None:
        """Gives a consent another name."""
        self._run("UPDATE consents SET name = ? WHERE id = ?", name, key)
        return self.consent(key)

    def delete_consent(self, key: str) -> bool:
        """Withdraws a consent; the voices that rest on it go with it."""
        known = self.consent(key) is not None
        self._run("DELETE FROM consents WHERE id = ?", key)
        return known

    # ---- voices ----

    def add_voice(
        self, name: str, *, prompt: str = "", identity: int = 0, sample: bytes = b"", consent: str = ""
    ) -> VoiceRecord:
        """A voice from words (and which of those whom they fit), or from a sample whose owner agreed."""
        if sample and (not consent or self.consent(consent) is None):
            raise ConsentError(
                f"The consent '{consent}' is not known. Record the person agreeing, send that to "
                "/v1/audio/voice_consents, and give the id it answers as 'consent'."
            )
        kind = "audio_sample" if sample else "prompt"
        record = VoiceRecord(
            f"voice_{secrets.token_hex(12)}", int(time.time()), name, kind, prompt, sample, consent or None, identity
        )
        self._run(
            f"INSERT INTO voices ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(record.id, record.created, name, kind, prompt, sample, record.consent, identity),
        )
        return record

    def add_clip(self, name: str, sample: bytes, who: str, *, prompt: str = "") -> VoiceRecord:
        """A voice from a sample of somebody of whom it is said that they agreed; ``prompt`` is how it speaks."""
        consent = self.add_consent(Consent(who).who, "", b"")
        return self.add_voice(name, prompt=prompt, sample=sample, consent=consent.id)

    def voice(self, key: str) -> VoiceRecord | None:
        """The voice of this id."""
        rows = self._run(f"SELECT {_COLUMNS} FROM voices WHERE id = ?", key)
        return VoiceRecord(*rows[0]) if rows else None

    def named(self, name: str) -> VoiceRecord | None:
        """The newest voice of this name; where there is none, of this name in other capitals."""
        order = "ORDER BY name = ? DESC, created DESC, rowid DESC"
        rows = self._run(f"SELECT {_COLUMNS} FROM voices WHERE name = ? COLLATE NOCASE {order}", name, name)
        return VoiceRecord(*rows[0]) if rows else None

    def voices(self) -> list[VoiceRecord]:
        """All, newest first, without their samples."""
        columns = _COLUMNS.replace("sample", "x''")
        rows = self._run(f"SELECT {columns} FROM voices ORDER BY created DESC, rowid DESC")
        return [VoiceRecord(*row) for row in rows]

    def delete_voice(self, key: str) -> bool:
        """Forgets a voice, and a consent without a recording that no other voice rests on."""
        known = self.voice(key)
        self._run("DELETE FROM voices WHERE id = ?", key)
        unused = "recording = x'' AND NOT EXISTS (SELECT 1 FROM voices WHERE consent = consents.id)"
        self._run(f"DELETE FROM consents WHERE id = ? AND {unused}", known.consent if known else None)
        return known is not None

    def find(self, name: str) -> Voice:
        """The voice that a request means; VoiceError for none.

        It is an id or a name of one that was made here, a stock name, a character of the gallery, or a description.
        """
        record = self.voice(name) if name.startswith("voice_") else self.named(name)
        if record is not None:
            if record.kind == "prompt":
                return Voice(name=record.id, description=record.prompt, identity=record.identity)
            consent = self.consent(record.consent or "")
            if consent is None:
                raise VoiceError(f"The consent for the voice '{name}' was withdrawn.")
            return Voice(
                name=record.id,
                clip=record.sample,
                description=record.prompt,
                consent=Consent(consent.name, consent.id),
            )
        voice = stock_voice(name)
        if voice is None:
            raise unknown_voice(name)
        return voice
