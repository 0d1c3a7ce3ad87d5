"""How the pages write figures and commands."""

from visant_cloud.views.pages import size, span, with_code


def test_lengths_and_sizes_read_well() -> None:
    assert [span(s) for s in (None, 0.04, 0.42, 3, 35.2, 300, 5400, 90000, 432000)] == [
        "-", "0.0 s", "0.4 s", "3 s", "35 s", "5 min", "90 min", "25 h", "5.0 days",
    ]  # fmt: skip
    assert [size(b) for b in (None, 0, 999, 4_200_000, 21_000_000_000)] == [
        "-",
        "0 bytes",
        "999 bytes",
        "4.2 MB",
        "21 GB",
    ]


def test_back_ticks_become_code_and_nothing_else_becomes_markup() -> None:
    assert with_code("run `a <b>` & see") == "run <code>a &lt;b&gt;</code> &amp; see"
