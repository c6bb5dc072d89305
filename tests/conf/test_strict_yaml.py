import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.settings import SettingsError
from conf.strict_yaml import parse_mapping, parse_yaml, read_mapping, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("no", "no"),
        ("Yes", "Yes"),
        ("1e-3", 0.001),
        ("1.5", 1.5),
        ("-2", -2),
        ("20_000", 20_000),
        ("0123", "0123"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        (".inf", ".inf"),
        ("<<", "<<"),
        ("'1'", "1"),
        ("[a, NO]", ["a", "NO"]),
    ],
)
def test_scalars(text, value):
    read = parse_yaml(text, "x")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: 1\nb: 2\na: 3",
            "line 3, column 1: must be plain YAML, but the key 'a' is given twice",
        ),
        ("a: {b: 1, b: 1}", "the key 'b' is given twice"),
        ("1: a", "a key must be text"),
        ("[a]: b", "a key must be text"),
        ("a: &x 1\nb: *x", "anchors, aliases and tags"),
        ("a: !!python/object:os.system x", "anchors, aliases and tags"),
        ("a: !!int x", "anchors, aliases and tags"),
        ("a: [", "line 1"),
        ("a: b: c", "line 1"),
        ("a: 1\n---\nb: 2", "must be plain YAML"),
        ("a: \x07", "character 4"),
    ],
)
def test_what_is_not_accepted(text, problem):
    with pytest.raises(SettingsError, match=r"^bad settings:\n  - file\.yaml, ") as caught:
        parse_yaml(text, "file.yaml")
    assert problem in str(caught.value)


def test_errors_do_not_quote_values():
    with pytest.raises(SettingsError) as caught:
        parse_yaml("a: secret-value\n b: [secret-value", "x")
    assert "secret-value" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_says_nothing(text):
    assert parse_mapping(text, "x") == {}


@pytest.mark.parametrize("text", ["[a]", "5", "text"])
def test_a_settings_file_is_a_mapping(text):
    with pytest.raises(SettingsError, match="must hold sections"):
        parse_mapping(text, "x")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for path, words in [
        (tmp_path / "missing.yaml", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "latin.yaml", "not UTF-8"),
        (tmp_path / "a\0b", "not a usable path"),
    ]:
        with pytest.raises(SettingsError, match=words):
            read_mapping(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfnotes: {limit: 1}\r\n")
    assert read_mapping(tmp_path / "x.yaml") == {"notes": {"limit": 1}}


# Settings are of one line: PyYAML writes U+0085 and U+2028 in a form that it reads as a space.
_texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts
    | st.sampled_from(
        ["1e-3", "1e3", "no", "0123", "1:30", "2024-01-01", "~", "", "0x1f", ".5", "="]
    )
)
_documents = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(_texts, inner), max_leaves=8
)


@settings(deadline=None)  # PyYAML is slow
@given(_documents)
def test_what_is_written_reads_back(document):
    assert parse_yaml(write_yaml(document), "x") == document
