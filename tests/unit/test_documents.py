"""What the documents name is there: files, links, tests, make targets, and every room of the house."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[str]:
    """Files that git knows or would add, below the root."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.splitlines() if (ROOT / name).exists())


DOCUMENTS = tracked("*.md")
FILES = tracked()
NAMES = {name.rpartition("/")[2] for name in FILES}
TESTS = {
    name
    for path in tracked("tests/**.py")
    for name in re.findall(r"^\s*(?:async )?def (test_\w+)", (ROOT / path).read_text(), re.MULTILINE)
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def prose(document: str) -> str:
    """A document's text."""
    return (ROOT / document).read_text()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", prose(document)):
        assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_file_that_a_document_names_is_there(document: str) -> None:
    """A path with a folder must exist from the root, or as the end of one path; a bare file name somewhere."""
    for name in re.findall(r"`([\w./…-]+\.(?:py|sh|lua|yaml|toml|hcl|conf|js|css))`", prose(document)):
        if name.startswith(("/", "~")):
            continue
        ends = name.rpartition("…/")[2].removeprefix("./")
        found = any(f"/{path}".endswith(f"/{ends}") for path in FILES)
        assert found, f"{document}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_test_that_a_document_names_is_there(document: str) -> None:
    for name in re.findall(r"`(test_\w+)`", prose(document)):
        assert name in TESTS, f"{document}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_make_target_that_a_document_names_is_there(document: str) -> None:
    for name in re.findall(r"`make ([a-z][a-z-]*)", prose(document)):
        assert name in TARGETS, f"{document}: make {name}"


def test_the_architecture_lists_every_room_with_the_line_that_the_room_says_of_itself() -> None:
    done = subprocess.run(
        ["python3", "tools/rooms.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_decision_is_in_the_list_and_each_gap_in_the_numbers_has_a_word() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("0*.md"))]
    assert all(f"]({path.name})" in listed for path in (ROOT / "docs/adr").glob("0*.md"))
    gaps = re.findall(r"^\| (\d+) to (\d+) \|", listed, re.MULTILINE)
    said = {number for first, last in gaps for number in range(int(first), int(last) + 1)}
    assert set(range(1, max(numbers) + 1)) - set(numbers) == said


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
