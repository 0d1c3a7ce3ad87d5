"""What the environment may set."""

import pytest

from visant_cloud.settings import database_url


@pytest.mark.parametrize(
    ("given_url", "engine"),
    [
        ("postgres://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("sqlite:////data/c.db", "sqlite+aiosqlite:////data/c.db"),
    ],
)
def test_database_urls_of_platforms_are_understood(given_url: str, engine: str) -> None:
    assert database_url(given_url) == engine


@pytest.mark.parametrize("wrong", ["mysql://h/d", "cloud.db", "", "sqlite:"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        database_url(wrong)
