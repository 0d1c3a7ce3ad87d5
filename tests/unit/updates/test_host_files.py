"""Settings, durable files, signatures, archives: what visantctl reads and writes on the host."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from visantctl import cli
from visantctl.errors import Busy, Misconfigured, Refused
from visantctl.host import durable
from visantctl.host.env_file import read_env_file
from visantctl.host.lock import is_held, update_lock
from visantctl.host.log import Log
from visantctl.host.place import Place
from visantctl.host.settings import Settings
from visantctl.releases.signature import verify
from visantctl.releases.source import Archive, Channel
from visantctl.updates.ledger import Ledger
from visantctl.updates.pending import Pending
from visantctl.updates.prepare import unpack


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(root=tmp_path / "visant", log=tmp_path / "log", units=tmp_path / "units")
    made.prepare()
    return made


def test_an_env_file_is_read_as_compose_reads_it(tmp_path: Path) -> None:
    file = tmp_path / ".env.device"
    file.write_text(
        "# comment\nDEVICE_ID=PI-1 # the one by the door\nexport A='x # y'\nB=\"q\"\nC=a#b\n\nbroken line\nD=\n#E=1\n"
    )
    assert read_env_file(file) == {"DEVICE_ID": "PI-1", "A": "x # y", "B": "q", "C": "a#b", "D": ""}


def test_an_env_file_from_another_system(tmp_path: Path) -> None:
    file = tmp_path / ".env.device"
    file.write_bytes(b"\xef\xbb\xbfDEVICE_ID=PI-1\r\n# B\xfcro\r\nA=1\r\n")
    assert read_env_file(file) == {"DEVICE_ID": "PI-1", "A": "1"}
    file.write_text("DEVICE_ID=PI-1\n", encoding="utf-16")
    with pytest.raises(Misconfigured, match="save it as UTF-8"):
        read_env_file(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("UPDATE_SOAK", "soon"), ("UPDATE_SOAK", "-1"), ("UPDATE_SOAK", "nan"), ("UPDATE_PIN", "latest"),
        ("UPDATE_CHANNEL", "../beta"), ("UPDATE_URL", "ftp://x"),
        ("UPDATE_URL", "https://ü"), ("UPDATE_PIN", "١.٢.٣"), ("VISANT_PROJECT", "A B"),
        ("SSL_CERT_FILE", "/run/secrets/absent.pem"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named_with_its_value(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=key) as caught:
        Settings.load(tmp_path / ".env.device", {key: value})
    assert value in str(caught.value)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "good.json"
    durable.write_json(file, {"version": "1"})

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.write_json(file, {"version": "2"})
    assert durable.read_json(file) == {"version": "1"}
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_replaced_and_removed(place: Place) -> None:
    for version in ("1.0.0", "1.1.0"):
        (place.release(version)).mkdir()
        (place.release(version) / "release.json").write_text("{}")
        durable.point(place.current, f"releases/{version}")
        assert place.linked_version(place.current) == version
    durable.point(place.current, "releases/9.9.9")
    assert place.linked_version(place.current) is None
    durable.point(place.current, None)
    assert not place.current.is_symlink()


def test_a_pending_update_survives_a_newer_and_an_older_reader(place: Place) -> None:
    pending = Pending.begin(place.state, candidate="1.1.0", good="1.0.0", older=None, baseline={"camera": True})
    assert Pending.read(place.state) == pending
    value = json.loads((place.state / "pending.json").read_text()) | {"future": 1}
    (place.state / "pending.json").write_text(json.dumps(value))
    assert Pending.read(place.state) == pending
    (place.state / "pending.json").write_text('{"candidate": ')
    assert Pending.read(place.state) is None


@pytest.mark.parametrize("damage", ["", "null", "[]", '{"candidate": 5}', '{"candidate": "../x"}', "{", "\0\0\0"])
def test_a_pending_update_that_names_no_release_is_none(place: Place, damage: str) -> None:
    (place.state / "pending.json").write_text(damage)
    assert Pending.read(place.state) is None


@pytest.mark.parametrize("damage", ["", "null", "[]", '{"version": 5}', '{"version": "../x"}', "{", "\0\0\0"])
def test_a_device_whose_note_of_the_good_release_is_damaged_still_has_one(place: Place, damage: str) -> None:
    ledger = Ledger(place)
    for version in ("1.0.0", "1.1.0"):
        place.release(version).mkdir()
        (place.release(version) / "release.json").write_text("{}")
        durable.point(place.current, f"releases/{version}")
    (place.state / "good.json").write_text(damage)
    assert ledger.good == "1.1.0", "what current names"
    Pending.begin(place.state, candidate="1.1.0", good="1.0.0", older=None, baseline={})
    assert ledger.good == "1.0.0", "what an open update goes back to"
    Pending.begin(place.state, candidate="1.1.0", good=None, older=None, baseline={})
    assert ledger.good is None, "a first installation has not been kept yet"


def test_damaged_records_do_not_stop_anything(place: Place) -> None:
    (place.state / "quarantine.json").write_text('{"1.0.0": 5, "1.1.0": {"reason": "r", "at": "t"}}')
    (place.state / "history.jsonl").write_bytes(b'[1]\n"x"\nnull\n\xff\xfe\n{"result": "updated"}\n')
    ledger = Ledger(place)
    assert list(ledger.quarantine) == ["1.1.0"]
    assert ledger.history() == [{"result": "updated"}]


def test_the_ledger_survives_damage_and_writes_an_update_down_once(place: Place) -> None:
    ledger = Ledger(place)
    assert (ledger.good, ledger.quarantine, ledger.history(), ledger.interruptions("1")) == (None, {}, [], 0)
    ledger.good = "1.0.0"
    ledger.write_once("updated", id="a", to="1.0.0")
    ledger.write_once("updated", id="a", to="1.0.0")
    with (place.state / "history.jsonl").open("a") as file:
        file.write('{"torn')
    ledger.note("checked", "up to date")
    ledger.note("checked", "up to date")
    assert [event["result"] for event in ledger.history()] == ["updated", "checked"]
    assert (ledger.count_interruption("1.1.0"), ledger.count_interruption("1.1.0")) == (1, 2)
    assert ledger.count_interruption("1.2.0") == 1
    told = json.loads((place.shared / "update.json").read_text())
    assert (told["version"], told["result"]) == ("1.0.0", "checked")


def test_one_visantctl_at_a_time(place: Place) -> None:
    assert not is_held(place.state)
    with update_lock(place.state, "update"):
        assert is_held(place.state)
        with pytest.raises(Busy, match=str(os.getpid())), update_lock(place.state, "update", patience=0.2):
            pass
    assert not is_held(place.state)


def test_a_child_keeps_the_lock_of_a_killed_parent(place: Place) -> None:
    with update_lock(place.state, "update") as lock:
        child = subprocess.Popen(["sleep", "30"], pass_fds=(lock,))
    assert is_held(place.state)
    child.kill()
    child.wait()
    assert not is_held(place.state)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Log(tmp_path / "no" / "such").error("two\nlines")
    assert capsys.readouterr().out == "[ERROR] two lines\n"


def test_signatures(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)], check=True
        )
    known = tmp_path / "allowed_signers"
    known.write_text(f'ours@x namespaces="visant-release" {(tmp_path / "ours.pub").read_text()}')

    def sign(content: bytes, key: str, namespace: str = "visant-release") -> bytes:
        words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(tmp_path / key), "-n", namespace]
        return subprocess.run(words, input=content, check=True, capture_output=True).stdout

    assert verify(b"content", sign(b"content", "ours"), known) == "ours@x"
    for signature in (
        sign(b"other", "ours"),
        sign(b"content", "theirs"),
        sign(b"content", "ours", "git"),
        b"",
        b"no signature",
    ):
        with pytest.raises(Refused):
            verify(b"content", signature, known)
    known.write_text("")
    with pytest.raises(Refused, match="missing or empty"):
        verify(b"content", sign(b"content", "ours"), known)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    with tarfile.open(bundle, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(Refused):
        unpack(bundle, tmp_path / "to")
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_cannot_bring_links(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    with tarfile.open(bundle, "w:gz") as tar:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    with pytest.raises(Refused):
        unpack(bundle, tmp_path / "to")


def test_a_manifest_of_a_hundred_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    big = tmp_path / "stable/release.json"
    big.parent.mkdir()
    with big.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(Refused, match="larger than 1000000 bytes"):
        Channel(Settings(update_url=f"file://{tmp_path}")).signed_manifest()
    with tarfile.open(tmp_path / "big.tar", "w") as tar:
        tar.add(big, arcname="release.json")
    with pytest.raises(Refused, match="larger than 1000000 bytes"):
        Archive(tmp_path / "big.tar").signed_manifest()


def test_an_archive_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not a file"):
        Archive(tmp_path)
    with pytest.raises(Misconfigured, match="no such file"):
        Archive(tmp_path / "absent.tar")
    (tmp_path / "x.tar").write_bytes(b"not a tar")
    with pytest.raises(Refused, match="not a readable tar"):
        Archive(tmp_path / "x.tar").signed_manifest()


def test_every_command_has_a_line_of_help_and_bad_words_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"update", "run", "boot", "rollback", "status", "history", "logs"} <= set(cli.names())
    for words in (["no-such-command"], ["update", "--no-such-flag"], []):
        with pytest.raises(SystemExit) as caught:
            cli.main(words)
        assert caught.value.code == 2
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "look for a release" in capsys.readouterr().out


def test_a_users_mistake_is_one_line_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / ".env.device").write_text("UPDATE_SOAK=soon\n")
    script = Path(cli.__file__).parents[1] / "bin/visantctl"
    env = {**os.environ, "VISANT_ROOT": str(tmp_path), "VISANT_UPDATE_LOG": str(tmp_path / "log")}
    done = subprocess.run([sys.executable, str(script), "update"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "UPDATE_SOAK='soon' must be a number" in done.stderr
