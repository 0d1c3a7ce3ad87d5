"""What a page begins with: open alerts as lines for a person."""

from dataclasses import replace

from tests.unit.cloud.test_alert_telling import NOW, ago, alert, alone
from visant_cloud.views.pages import needs


def test_what_a_site_has_at_once_is_one_line_and_what_somebody_has_seen_another() -> None:
    seen = replace(alert(9), acknowledged_at=NOW, acknowledged_by="Ada")
    found = needs([alert(3), alone(2), alert(1, opened=900.0), seen], 4)
    assert [need.numbers for need in found.shown] == ["3,1", "2", ""]
    assert found.shown[0].first.opened_at == ago(900.0) and found.more == 0
    assert [need.seen_by for need in found.shown] == [None, None, "Ada"]


def test_of_many_some_are_shown_and_the_rest_is_counted() -> None:
    found = needs([alone(number) for number in range(1, 101)], 1000)
    assert len(found.shown) + found.more == 1000 and 0 < len(found.shown) < 20
    everyone = needs([alert(number) for number in range(1, 201)], 5000)
    assert len(everyone.shown) == 1 and everyone.more == 4800
