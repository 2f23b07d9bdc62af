"""Voices that are kept: found by id and by name, and databases of before."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from vivavoce.core.errors import ConsentError, VoiceError
from vivavoce.core.gallery import GALLERY
from vivavoce.core.voice import Voice
from vivavoce.server.voices import DATABASE, VoiceStore


def test_a_voice_is_found_by_its_name_with_the_person_that_it_is(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    store.add_voice("Brom", prompt="a dwarf", identity=3)
    store.add_voice("Elra", prompt="an elf")
    assert store.find("Brom") == replace(Voice.described("a dwarf", 3), name=store.find("Brom").name)
    assert store.find("goblin").description == GALLERY["goblin"].description
    assert store.find("BROM") == store.find("Brom")
    store.add_voice("brom", prompt="a child")
    assert (store.find("Brom").description, store.find("brom").description) == ("a dwarf", "a child")
    with pytest.raises(VoiceError, match="no voice 'Zed'"):
        store.find("Zed")
    store.close()


def test_a_database_of_before_people_had_numbers_is_read(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / DATABASE)
    old.execute(
        "CREATE TABLE voices (id TEXT PRIMARY KEY, created INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, "
        "prompt TEXT NOT NULL, sample BLOB NOT NULL, consent TEXT)"
    )
    old.execute("INSERT INTO voices VALUES ('voice_1', 5, 'Brom', 'prompt', 'a dwarf', x'', NULL)")
    old.commit()
    old.close()
    store = VoiceStore(tmp_path)
    assert store.find("voice_1") == Voice(name="voice_1", description="a dwarf")
    assert store.add_voice("Elra", prompt="an elf", identity=2).identity == 2
    store.close()


def test_a_clip_is_kept_with_who_agreed_and_forgotten_with_it(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    kept = store.add_clip("Elra", b"sound", "Elra Smith", prompt="whispering")
    found = store.find("elra")
    assert (found.clip, found.description) == (b"sound", "whispering")
    assert found.consent is not None and found.consent.who == "Elra Smith"
    recorded = store.add_consent("Brom", "en", b"I agree")
    other = store.add_voice("Brom", sample=b"low", consent=recorded.id)
    assert {one.name for one in store.consents()} == {"Elra Smith", "Brom"}
    assert store.delete_voice(kept.id) and store.delete_voice(other.id)
    assert [one.name for one in store.consents()] == ["Brom"]  # a recording of a consent is deleted by nobody else
    with pytest.raises(ConsentError, match="who agreed"):
        store.add_clip("Zed", b"sound", " ")
    assert not store.voices() and len(store.consents()) == 1
    store.close()
    database = (tmp_path / DATABASE).read_bytes()
    assert b"Elra" not in database and b"I agree" in database
