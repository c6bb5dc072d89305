"""The benchmark's table and plots, from figures that are easy to reckon."""

import pytest

from jobs.benchmark.show_benchmark import NAMES, benchmark_rows, show_benchmark, write_plots

ENGINE = {
    "what": "engine",
    "notes": "shared",
    "options": [],
    "figures": {
        "seconds": 4.0,
        "wordpieces": 2_000,
        "tokenizing_seconds": 0.1,
        "flops": 2e10,
        "flops_per_wordpiece": 2e7,
        "bound": 1_000.0,
    },
    "peaks": {},
}


def ours(name: str, notes: int, seconds: float, copied: float) -> dict:
    figures = {
        "seconds": seconds,
        "notes": notes,
        "wordpieces": 100 * notes,
        "distinct_wordpieces": 100 * notes * (1 - copied),
        "windows": 10 * notes,
        "distinct_windows": 10 * notes * (1 - copied),
        "f1": 0.85,
    }
    peaks = {"JVM": 1500, "worker": 700}
    return {"what": "clinspan", "notes": name, "options": [], "figures": figures, "peaks": peaks}


def peer(name: str, notes: int, seconds: float) -> dict:
    figures = {"seconds": seconds, "notes": notes}
    return {"what": "spark_nlp", "notes": name, "options": [], "figures": figures, "peaks": {}}


@pytest.fixture
def report() -> list[dict]:
    return [
        ENGINE,
        ours("shared", 20, 4.0, 0.0),
        peer("shared", 20, 50.0),
        peer("few", 5, 10.0),
        ours("invented-100", 100, 10.0, 0.5),
        ours("invented-1000", 1000, 90.0, 0.5),
        ours("invented-100-none", 100, 20.0, 0.0),
    ]


def test_every_measurement_is_a_row(report):
    rows = [dict(zip(NAMES, row, strict=True)) for row in benchmark_rows(report)]
    engine, shared, nlp, few, half = rows[:5]
    assert (engine["distinct word-pieces/s"], engine["of the bound"]) == ("500", "50%")
    assert (shared["notes/s"], shared["of the bound"], shared["F1"]) == ("5.00", "50%", "0.8500")
    assert (nlp["notes/s"], nlp["Clinspan is faster by"], nlp["of the bound"]) == (
        "0.40",
        "12.50",
        "4%",
    )
    # Nothing of ours ran over the notes that a peer was tuned on: there is nothing to compare.
    assert (few["notes/s"], few["Clinspan is faster by"], few["word-pieces/s"]) == ("0.50", "", "")
    # Half of 10,000 word-pieces are copies: 1,000 a second, of which 500 were scored.
    assert (half["copies"], half["word-pieces/s"], half["distinct word-pieces/s"]) == (
        "50%",
        "1,000",
        "500",
    )
    assert half["of the bound"] == "50%"
    assert (half["JVM MiB"], half["worker MiB"]) == ("1,500", "700")


def test_peers_are_compared_with_the_mean_of_our_runs(report):
    again = ours("shared", 20, 6.0, 0.0)
    rows = [dict(zip(NAMES, row, strict=True)) for row in benchmark_rows([*report, again])]
    assert rows[2]["Clinspan is faster by"] == "10.00"
    assert [row["notes/s"] for row in rows if row["what"] == "clinspan"][0::4] == ["5.00", "3.33"]


def test_the_table_says_what_the_bound_is_made_of(report, capsys):
    show_benchmark(report)
    said = " ".join(capsys.readouterr().out.split())
    assert "bound 1,000 word-pieces/s = 20 GFLOP/s" in said
    assert "2.5% of the engine's time" in said


def test_plots_are_pictures(report, tmp_path):
    write_plots(report, tmp_path, copies_notes=100)
    for name in ("peers", "sizes", "copies"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_no_plot_is_drawn_of_nothing(report, tmp_path):
    write_plots(report[:2], tmp_path, copies_notes=100)
    assert [place.name for place in tmp_path.iterdir()] == ["peers.png"]
