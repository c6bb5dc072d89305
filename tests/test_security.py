"""Holds docs/security.md: which columns hold text, which code may run, what Spark is told."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from conf.faults import SettingsError
from conf.strict_yaml import parse_yaml
from jobs.command_line.exit_codes import fail
from jobs.display import show_run
from jobs.wiring import onnx_cache
from pipelines.source.note_columns import NoteColumns, map_columns
from pipelines.source.note_source import NoteSource, read_notes
from pipelines.source.source_files import FILE
from pipelines.tables.definitions import TABLES, Table
from tests.support.places import REPOSITORY, SHIPPED
from udfs.errors import InputError, ModelPackageError, PredictionError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import (
    EXPORT_DIGESTS,
    REQUIRED_FILES,
    ModelManifest,
    ModelPackage,
    load_manifest,
    sha256_of,
    write_manifest,
)

DOCUMENT = REPOSITORY / "docs" / "security.md"

# --- The tables -------------------------------------------------------------------------------

TEXT = "text of notes"
KINDS = {TEXT, "words of the source", "ids and times", "keyed hashes", "places and sizes"}
KINDS |= {"what the model says", "the run"}
_ROW = re.compile(r"^\| `(\w+)` \| ([^|`]+) \| (`[^|]+|\*\*`[^|]+) \|$", re.MULTILINE)


def documented() -> list[tuple[str, str, str, bool]]:
    """(table, kind, column, whether it has statistics: bold) of each column in the document."""
    return [
        (table, kind, column, bool(bold))
        for table, kind, columns in _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
        for bold, column in re.findall(r"(\*\*)?`(\w+)`", columns)
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_document_names_every_column_and_its_statistics(table: Table) -> None:
    rows = [row for row in documented() if row[0] == table.name]
    assert sorted(column for _, _, column, _ in rows) == sorted(table.schema.names)
    assert {kind for _, kind, _, _ in rows} <= KINDS
    assert {column for _, _, column, bold in rows if bold} == set(table.statistics)


def test_no_column_with_words_has_statistics() -> None:
    rows = documented()
    assert {row[0] for row in rows} == {table.name for table in TABLES}
    worded = [row for row in rows if row[1] in (TEXT, "words of the source")]
    assert ("entities", TEXT, "text", False) in worded
    assert not [row for row in worded if row[3]]


def _strings(values: pa.Array) -> Iterator[str]:
    kind = values.type
    if pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _strings(values.field(place))
    elif pa.types.is_list(kind):
        yield from _strings(values.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        yield from map(str, values.drop_null().to_pylist())


def test_text_stands_in_the_documented_columns_only(made_root: Path) -> None:
    """Every file of a root, old ones and change data too, is read without Spark."""
    notes = [json.loads(line) for line in (made_root / "notes.jsonl").read_text().splitlines()]
    words = {word for note in notes for word in re.findall(r"[A-Za-z]{5,}", note["text"])}
    assert {"insulin", "anemia", "heparin"} <= words
    in_text = re.compile("|".join(sorted(words)))
    found, files = set(), 0
    for path in (made_root / "root").rglob("*"):
        if path.suffix == ".parquet":
            files += 1
            for batch in pq.ParquetFile(path).iter_batches():
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    if any(in_text.search(value) for value in _strings(column)):
                        found.add((path.relative_to(made_root / "root").parts[0], name))
        elif path.is_file():
            files += 1
            assert not in_text.search(path.read_bytes().decode("latin-1")), path
    assert files > 20
    assert found == {(table, column) for table, kind, column, _ in documented() if kind == TEXT}


# --- Code that runs ---------------------------------------------------------------------------

FOLDERS = ("conf", "udfs", "pipelines", "training", "jobs")
UNSAFE_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "skops",
}
UNSAFE_NAMES = {"eval", "exec", "compile", "__import__"}
UNSAFE_CALLS = {"torch.load", "torch.hub.load", "torch.jit.load", "np.load", "numpy.load"}
UNSAFE_CALLS |= {"os.system", "os.popen", "pd.read_pickle", "pandas.read_pickle"}
# One file each: weights of others, by the reader that makes tensors only; the hub, on request.
ALLOWED = {
    "torch.load": ("training/foreign_models/foreign_weights.py", {"weights_only": "True"}),
    "huggingface_hub.snapshot_download": ("training/package/model_hub.py", {}),
}
UNSAFE_CALLS |= {"huggingface_hub.snapshot_download", "snapshot_download"}
UNSAFE_CALLS |= {"yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "yaml.unsafe_load_all"}


def breaches(source: str, place: str) -> list[str]:
    """What in a file could run what somebody else wrote."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            modules = []
        unsafe = [name for name in modules if UNSAFE_MODULES & set(name.split("."))]
        if isinstance(node, ast.Call):
            unsafe += _unsafe_call(node, place)
        found += [f"{place}:{node.lineno} {name}" for name in unsafe]  # type: ignore[attr-defined]
    return found


def _unsafe_call(call: ast.Call, place: str) -> list[str]:
    name = ast.unparse(call.func)
    keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
    found = [name] if name in UNSAFE_NAMES | UNSAFE_CALLS else []
    file, needed = ALLOWED.get(name, ("", {}))
    if place == file and needed.items() <= keywords.items():
        found = []
    if name == "yaml.load" and keywords.get("Loader") != "_Loader":  # a SafeLoader of ours
        found.append("yaml.load")
    if keywords.get("shell", "False") != "False":
        found.append("shell=True")
    if keywords.get("trust_remote_code", "False") != "False":
        found.append("trust_remote_code")
    if name.endswith(".from_pretrained") and keywords.get("local_files_only") != "True":
        found.append("from_pretrained without local_files_only")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_code_loads_what_can_run(folder: str) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    assert len(files) > 5
    places = [(f, f.relative_to(REPOSITORY).as_posix()) for f in files]
    found = [b for f, place in places for b in breaches(f.read_text(encoding="utf-8"), place)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pyspark import cloudpickle",
        "def f():\n    from joblib import load",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "eval(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
        "AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=True)",
        "AutoModel.from_pretrained(folder)",
        "huggingface_hub.snapshot_download(name)",
    ],
)
def test_a_breach_is_seen(source: str) -> None:
    assert breaches(source, "example.py")


def test_weights_of_others_are_read_in_one_place_and_one_way() -> None:
    place = "training/foreign_models/foreign_weights.py"
    assert not breaches("torch.load(path, weights_only=True)", place)
    assert breaches("torch.load(path)", place)
    assert breaches("torch.load(path, weights_only=False)", place)
    assert breaches(
        "torch.load(path, weights_only=True)", "training/foreign_models/model_import.py"
    )


_WATCHED = """
import sys
from pathlib import Path
from udfs.classifiers.model_loading import load_classifier

def refuse(event, arguments):
    if event.split(".")[0] in ("pickle", "socket", "subprocess", "urllib") or event in (
        "os.system", "os.exec", "os.posix_spawn", "os.fork", "exec", "compile"
    ):
        print("REFUSED", event, str(arguments)[:80])

texts = ["Started aspirin for headache."]
load_classifier(Path(sys.argv[1])).predict(texts)  # imports and warms up what it needs
sys.addaudithook(refuse)
[prediction] = load_classifier(Path(sys.argv[1])).predict(texts)
print("spans", len(prediction.spans))
"""


@pytest.mark.heavy
@pytest.mark.model
def test_a_model_is_loaded_and_used_without_pickles_processes_or_network() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(SHIPPED)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout == "spans 2\n"


def test_an_altered_onnx_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = dict.fromkeys(REQUIRED_FILES, "0" * 64)
    package = ModelPackage(tmp_path, ModelManifest("ner", ("O", "B-Drug", "I-Drug"), files))

    def export(package: Path, target: Path) -> None:
        target.mkdir(parents=True)
        (target / "model.onnx").write_bytes(b"graph")
        digests = {"model.onnx": sha256_of(target / "model.onnx")}
        (target / EXPORT_DIGESTS).write_text(json.dumps(digests))

    monkeypatch.setattr(onnx_cache, "export", export)
    folder = onnx_cache.cached_export(package)
    assert onnx_cache.cached_export(package) == folder
    (folder / "model.onnx").write_bytes(b"grape")
    with pytest.raises(ModelPackageError, match="altered or cut off: remove that folder"):
        onnx_cache.cached_export(package)
    (folder / EXPORT_DIGESTS).unlink()
    with pytest.raises(ModelPackageError, match="altered"):
        onnx_cache.cached_export(package)


# --- What a stranger's files can say ----------------------------------------------------------


def test_a_panic_of_the_tokenizer_tells_no_text() -> None:
    """PyO3 raises such where Rust panics: no Exception, and its message may quote a text."""
    from udfs.network.tokenization import WindowTokenizer

    class Panicking:
        def encode_batch(self, texts: list[str], **_: object) -> None:
            raise type("PanicException", (BaseException,), {})(f"inside of {texts[0]}")

    tokenizer = WindowTokenizer.__new__(WindowTokenizer)
    tokenizer._tokenizer = Panicking()
    with pytest.raises(PredictionError, match="PanicException") as told:
        tokenizer.encode(["canary"])
    assert "canary" not in str(told.value)
    assert told.value.__suppress_context__


def test_names_from_files_cannot_drive_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail("job", 2, "no column 'a\x1b[2J\x9b31m\r'\n\tgive another")
    assert capsys.readouterr().err == (
        "job: error: no column 'a\\x1b[2J\\x9b31m\\r'\n\tgive another\n"
    )
    printed = io.StringIO()
    monkeypatch.setattr(show_run, "console", Console(file=printed))
    show_run.show_mentions([("drug", "as\x1b]0;x\x07pirin", 1, 0.5)])
    assert "\\x1b" in printed.getvalue() and "\x1b" not in printed.getvalue()


def test_no_variable_of_the_driver_gets_into_a_query(
    spark, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model package, a folder or a file may have such a name."""
    named = spark.sql("SELECT '${env:PATH}' AS a, '${system:user.home}' AS b").first()
    assert tuple(named) == ("${env:PATH}", "${system:user.home}")


@pytest.mark.parametrize("name", ["notes.jsonl", "notes.csv"])
def test_a_source_cannot_pretend_to_know_its_files(spark, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    rows = {
        "notes.jsonl": json.dumps({"note_id": "n", "text": "t", FILE: "http://example.org"}),
        "notes.csv": f"note_id,text,{FILE}\nn,t,http://example.org\n",
    }
    place.write_text(rows[name])
    with pytest.raises(InputError, match="rename it"):
        read_notes(spark, NoteSource(NoteColumns(), path=str(place)))


@pytest.mark.parametrize("name", ["${env:PATH}", "a\nb", "a\x1b[2J", "", "it's", "x" * 201])
def test_a_model_cannot_have_every_name(name: str, tmp_path: Path) -> None:
    files = dict.fromkeys(REQUIRED_FILES, "0" * 64)
    write_manifest(tmp_path, ModelManifest(name, ("O", "B-Drug", "I-Drug"), files))
    with pytest.raises(ModelPackageError, match="must be 1 to 200 letters"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("layers", ["Infinity", "1e400", "NaN", "0", "-1", "1001", "1000000000"])
def test_a_config_cannot_ask_for_all_memory(layers: str, tmp_path: Path) -> None:
    config = json.loads((SHIPPED / "config.json").read_text())
    text = json.dumps({**config, "num_hidden_layers": "HERE"}).replace('"HERE"', layers)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelPackageError, match="copy the package again"):
        EncoderConfig.from_file(tmp_path / "config.json")


@pytest.mark.parametrize("text", ["[" * 5000, "run: {limit: " + "9" * 5000 + "}"])
def test_settings_that_overwhelm_the_reader_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="nested too deep or holds too long a number"):
        parse_yaml(text, "settings.yaml")


def test_keys_of_json_that_are_no_names_are_not_quoted(spark) -> None:
    row = {"Jane Canary, born 1970": "x", "body": "x", **{f"key{i}": "x" for i in range(40)}}
    rows = spark.createDataFrame([row])
    with pytest.raises(InputError, match=r"they have: body, key0, .* and 12 others\.") as told:
        map_columns(rows, NoteColumns())
    assert "Canary" not in str(told.value)


# --- What Spark is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.io.encryption.enabled", "true"),
        ("spark.authenticate", "true"),
        ("spark.network.crypto.enabled", "true"),
        ("spark.ui.enabled", "false"),
        ("spark.sql.ansi.enabled", "false"),
    ],
)
def test_a_session_has_what_set_up_wrote(spark, key: str, value: str) -> None:
    assert spark.conf.get(key) == value
    # Event logs hold names and plans: only who wants them has them.
    assert spark.conf.get("spark.eventLog.enabled", "false") == "false"
