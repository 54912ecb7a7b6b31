"""docs/broker.md says what the code says."""

from pathlib import Path

from broker.config import SETTINGS

PAGE = Path(__file__).parents[2] / "docs" / "broker.md"
BEGIN, END = "<!-- settings: made from broker.config -->\n", "<!-- end of settings -->"


def settings_table() -> str:
    """Every setting with its default and meaning, as a Markdown table."""
    rows = [
        f"| `{name}` | {f'`{setting.shown(setting.default)}`' if setting.shown(setting.default) else ''} | {setting.doc} |"
        for name, setting in sorted(SETTINGS.items())
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


def test_settings_table() -> None:
    """The page's table of settings is the one the code makes."""
    text = PAGE.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == settings_table()
