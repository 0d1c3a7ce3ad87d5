"""What the environment may set."""

import pytest

from visant_cloud.settings import database_url


@pytest.mark.parametrize(
    ("given_url", "engine"),
    [
        ("postgres://u:p@h:5433/d", "postgresql://u:p@h:5433/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql://u@h/d?sslmode=require"),
        ("postgres://u:p@ss@h/d", "postgresql://u:p%40ss@h/d"),
        ("postgres://u:p%40ss@h/d", "postgresql://u:p%40ss@h/d"),
        ("postgres://u@h1:5432,h2:5433/d", "postgresql://u@h1:5432,h2:5433/d"),
        ("postgres:///d?host=/run/postgresql&user=u", "postgresql:///d?host=%2Frun%2Fpostgresql&user=u"),
        ("sqlite:////data/c.db", "sqlite+aiosqlite:////data/c.db"),
    ],
)
def test_database_urls_of_platforms_are_understood(given_url: str, engine: str) -> None:
    assert database_url(given_url) == engine


@pytest.mark.parametrize("wrong", ["mysql://h/d", "cloud.db", "", "sqlite:"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        database_url(wrong)
