"""The list of rooms in docs/architecture.md: each folder and each module, with the first line of its docstring.

`rooms.py` prints it, `--write` puts it into the document, `--check` fails where the document is not current (a test
does so as well). So a room's line is written in one place: the room.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- rooms: tools/rooms.py --write -->", "<!-- end of rooms -->"
PACKAGES = (
    "contract/src/visant_contract",
    "runtime/src/visant_runtime",
    "services/connector/src/visant_connector",
    "services/uploader/src/visant_uploader",
    "services/camera/src/visant_camera",
    "cloud/src/visant_cloud",
    "cli/src/visant_cli",
    "deployment/visantctl",
    "emulation",
)
SKIPPED = ("migrations", "__pycache__")


def first_line(path: Path) -> str:
    """What a module says of itself. Raises ValueError for one that says nothing, or not in one sentence's line."""
    doc = ast.get_docstring(ast.parse(path.read_text()))
    if not doc:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring: what is it? (docs/architecture.md shows it)")
    line = doc.split("\n\n")[0].replace("\n", " ")
    return line.replace("|", "\\|").replace("<", "&lt;")


def floors(package: Path) -> list[Path]:
    """The folders with modules, top first."""
    inner = {path.parent for path in package.rglob("*.py") if not set(path.parts) & set(SKIPPED)}
    return sorted(inner, key=lambda folder: (len(folder.parts) > len(package.parts), folder))


def rooms() -> str:
    """The whole list, as Markdown."""
    lines = []
    for name in PACKAGES:
        package = ROOT / name
        for folder in floors(package):
            shown = folder.relative_to(ROOT)
            heading = "###" if folder == package else "####"
            lines += ["", f"{heading} `{shown}/`", "", first_line(folder / "__init__.py")]
            lines += ["", "| room | what it is |", "|---|---|"]
            for path in sorted(folder.glob("*.py")):
                if path.name != "__init__.py":
                    lines.append(f"| `{path.name}` | {first_line(path)} |")
    return "\n".join(lines).strip()


def current() -> str:
    """The document as it would be written."""
    head, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{rooms()}\n\n{END}{tail}"


def main() -> int:
    """The exit status."""
    try:
        match sys.argv[1:]:
            case []:
                print(rooms())
            case ["--write"]:
                DOCUMENT.write_text(current())
            case ["--check"]:
                if current() != DOCUMENT.read_text():
                    print("docs/architecture.md does not list the rooms as they are: python3 tools/rooms.py --write")
                    return 1
            case _:
                print("rooms.py [--write | --check]", file=sys.stderr)
                return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
