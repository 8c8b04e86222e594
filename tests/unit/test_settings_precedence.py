"""Where a setting comes from, and what a wrong one is answered with."""

from __future__ import annotations

from inspect import signature
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli import app, status
from operations.init import render_settings, write_settings
from shared.errors import BadInput
from shared.settings import all_settings, load_settings, to_environment


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without a settings file, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for setting in all_settings():
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("SWITCHBACK_CONFIG", raising=False)
    return tmp_path


GIVEN = {"source": "app.db", "target": "postgresql://joe@localhost/app"}


def test_a_flag_goes_before_the_environment_before_the_file_before_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(None, GIVEN).chunk_rows == 20_000
    (folder / "switchback.toml").write_text("chunk_rows = 3")
    assert load_settings(None, GIVEN).chunk_rows == 3
    monkeypatch.setenv("SWITCHBACK_CHUNK_ROWS", "2")
    assert load_settings(None, GIVEN).chunk_rows == 2
    assert load_settings(None, {**GIVEN, "chunk_rows": "1"}).chunk_rows == 1


def test_kafka_settings_have_one_name_in_all_three_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "switchback.toml").write_text('[kafka]\nsasl_user = "file"\ncafile = "ca.pem"')
    assert load_settings(None, GIVEN).kafka.sasl_user == "file"
    monkeypatch.setenv("SWITCHBACK_KAFKA_SASL_USER", "environment")
    assert load_settings(None, GIVEN).kafka.sasl_user == "environment"
    found = load_settings(None, {**GIVEN, "kafka_sasl_user": "flag"}).kafka
    assert found.sasl_user == "flag"
    assert found.cafile == folder / "ca.pem"


def test_the_config_flag_goes_before_the_variable_that_names_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "one.toml").write_text("poll_ms = 1")
    (folder / "two.toml").write_text("poll_ms = 2")
    monkeypatch.setenv("SWITCHBACK_CONFIG", "one.toml")
    assert load_settings(None, GIVEN).poll_ms == 1
    assert load_settings(Path("two.toml"), GIVEN).poll_ms == 2


def test_stream_state_folder_and_log_follow_from_the_source(folder: Path) -> None:
    settings = load_settings(None, {**GIVEN, "source": "data/my app (1).db"})
    assert settings.stream == "my-app-1"
    assert settings.state_dir == folder / "data" / ".switchback"
    assert settings.log == f"embedded:{folder}/data/.switchback/my-app-1.log.db"


def test_paths_in_the_file_are_meant_from_the_folder_of_the_file(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf" / "a.toml").write_text('source = "app.db"\nlog = "embedded:log.db"\ntarget = "dbname=x"')
    settings = load_settings(folder / "conf" / "a.toml", {})
    assert settings.source == folder / "conf" / "app.db"
    assert settings.log == f"embedded:{folder}/conf/log.db"


def test_lists_and_pairs_may_be_written_plainly_or_as_json() -> None:
    plain = load_settings(None, {**GIVEN, "tables": "a, b", "types": "t.id=uuid,t.n=numeric"})
    assert plain.tables == ["a", "b"]
    assert plain.types == {"t.id": "uuid", "t.n": "numeric"}
    odd = load_settings(None, {**GIVEN, "tables": '["a,b"]', "types": '{"t.n": "numeric(10,2)"}'})
    assert odd.tables == ["a,b"]
    assert odd.types == {"t.n": "numeric(10,2)"}


@pytest.mark.parametrize("word", ["off", "none", "OFF"])
def test_a_metrics_port_may_be_off(word: str) -> None:
    assert load_settings(None, {**GIVEN, "sink_port": word}).sink_port is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('sorce = "a.db"', "unknown setting sorce (switchback.toml). Did you mean source?"),
        ("[kafka]\nsasl_usr = 1", "unknown setting kafka.sasl_usr (switchback.toml). Did you mean sasl_user?"),
        ("chunk_rows = 0", "setting chunk_rows: input should be greater than or equal to 1"),
        ('existing = "drop"', "setting existing: input should be 'refuse', 'match' or 'replace'"),
        ("kafka = 1", "setting kafka must be a section"),
        ('source = "a', "the settings file is not TOML"),
        ('stream = "a b"', "setting stream"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(folder: Path, content: str, says: str) -> None:
    (folder / "switchback.toml").write_text(content)
    with pytest.raises(BadInput) as caught:
        load_settings(None, GIVEN)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[kafka]\nsasl_user = "x"\nchunk_rows = 5', "chunk_rows belongs above [kafka]"),
        ('sasl_user = "x"', "sasl_user belongs below [kafka]"),
    ],
)
def test_a_setting_on_the_wrong_side_of_the_section_is_told_where_it_belongs(
    folder: Path, content: str, says: str
) -> None:
    (folder / "switchback.toml").write_text(content)
    with pytest.raises(BadInput) as raised:
        load_settings(None, GIVEN)
    assert says in str(raised.value)


def test_a_bad_name_is_answered_in_words() -> None:
    with pytest.raises(BadInput) as raised:
        load_settings(None, {**GIVEN, "stream": "a b/c"})
    assert "setting stream: use letters, digits, . _ and - alone" in str(raised.value)
    assert "^" not in str(raised.value)


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBACK_CHUNKROWS", "1")
    with pytest.raises(BadInput, match=r"SWITCHBACK_CHUNKROWS .* Did you mean SWITCHBACK_CHUNK_ROWS\?"):
        load_settings(None, GIVEN)


def test_a_wrong_number_in_json_or_port_is_an_error() -> None:
    for name, value in (("tables", "[1"), ("types", "{"), ("sink_port", "70000"), ("capture_port", "web")):
        with pytest.raises(BadInput, match=name):
            load_settings(None, {**GIVEN, name: value})


def test_what_is_needed_and_not_given_is_asked_for() -> None:
    with pytest.raises(BadInput, match=r"no target given.*SWITCHBACK_TARGET"):
        load_settings(None, {"source": "app.db"})
    with pytest.raises(BadInput, match="no source given"):
        load_settings(None, {}, needs=())
    assert load_settings(None, {"stream": "app"}, needs=()).stream == "app"


def test_a_named_file_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_settings(folder / "none.toml", GIVEN)


def test_the_password_may_come_from_a_file_and_is_shown_nowhere(folder: Path) -> None:
    (folder / "pw").write_text("s3cret pass\n")
    settings = load_settings(None, {**GIVEN, "target_password_file": "pw"})
    assert "s3cret pass" in settings.target.get_secret_value()
    assert "s3cret" not in repr(settings)


def test_a_secret_in_a_file_is_what_the_file_says_now(folder: Path) -> None:
    for name in ("pw", "broker", "url"):
        (folder / name).write_text("old")
    given = {"target_password_file": "pw", "kafka_sasl_password_file": "broker", "app_postgres_url_file": "url"}
    settings = load_settings(None, {**GIVEN, **given})
    for name in ("pw", "broker", "url"):
        (folder / name).write_text("new")
    assert "password=new" in settings.target.get_secret_value()
    assert settings.kafka.sasl_password.get_secret_value() == "new"
    assert settings.app_postgres_url.get_secret_value() == "new"


@pytest.mark.parametrize("dsn", ["postgresql://joe:s3cret@localhost/app", "dbname=app password=s3cret"])
def test_a_password_on_the_command_line_is_refused(folder: Path, dsn: str) -> None:
    said = CliRunner().invoke(app, ["status", "--stream", "app", "--target", dsn])
    assert isinstance(said.exception, BadInput)
    assert "command line" in str(said.exception)
    with pytest.raises(BadInput, match="command line"):
        write_settings(folder / "switchback.toml", {"target": dsn})


def test_no_secret_has_a_flag() -> None:
    flags = {option.name for option in signature(status).parameters.values()}
    assert {"setting_target", "setting_kafka_sasl_user"} <= flags
    assert not {"setting_kafka_sasl_password", "setting_app_postgres_url"} & flags


def test_a_wrong_value_is_not_repeated_in_the_error_where_it_may_be_secret(folder: Path) -> None:
    (folder / "switchback.toml").write_text("target = 5551234")
    with pytest.raises(BadInput) as caught:
        load_settings(None, {"source": "app.db"})
    assert "5551234" not in str(caught.value)


def test_a_child_process_gets_the_very_same_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pw").write_text("s3cret")
    (folder / "switchback.toml").write_text(
        'chunk_rows = 7\nsink_port = "off"\nexclude = ["a,b"]\n[kafka]\nsasl_user = "joe"'
    )
    settings = load_settings(None, {**GIVEN, "target_password_file": "pw", "types": "a.b=uuid"})
    (folder / "switchback.toml").write_text("chunk_rows = 8")
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    again = load_settings(None, {})
    different = {name for name in type(settings).model_fields if getattr(again, name) != getattr(settings, name)}
    assert not different


def test_init_writes_a_file_that_loads_and_gives_the_defaults(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(folder / "switchback.toml", {"source": "app.db"})
    settings = load_settings(None, {})
    assert settings.source == folder / "app.db"
    monkeypatch.setenv("SWITCHBACK_CONFIG", "")
    defaults = load_settings(None, {**GIVEN, "target": settings.target.get_secret_value()})
    assert settings.model_dump() == defaults.model_dump()


def test_every_line_of_the_file_that_init_writes_is_valid_once_uncommented(folder: Path) -> None:
    lines = render_settings({}).splitlines()
    text = "\n".join(line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in lines)
    (folder / "target-password").write_text("x")
    (folder / "kafka-password").write_text("x")
    (folder / "app-postgres-url").write_text("postgresql://app@localhost/app")
    (folder / "switchback.toml").write_text(text)
    assert load_settings(None, {}).chunk_rows == 20_000


def test_init_overwrites_nothing(folder: Path) -> None:
    (folder / "switchback.toml").write_text("# mine")
    with pytest.raises(BadInput, match="there already"):
        write_settings(folder / "switchback.toml", {})
    assert (folder / "switchback.toml").read_text() == "# mine"
