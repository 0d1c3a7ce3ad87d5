"""Which messages are due: one for a site, one when all of it is back, none while nobody is to be told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from visant_cloud.alerts import kinds
from visant_cloud.alerts.telling import BACK_WINDOW, SITE_WINDOW, Message, plan
from visant_cloud.store.alerts import Alert

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def alert(number: int, opened: float = 300.0, *, cleared: float | None = None, notice: int | None = None) -> Alert:
    """A silent device of a site, whose alert opened, and was cleared, so many seconds ago."""
    return Alert(
        number,
        "default",
        f"D{number}",
        kinds.SILENT,
        f"D{number}",
        "Hall 3",
        None,
        ago(opened),
        "no connection",
        "Look",
        None if cleared is None else ago(cleared),
        None,
        None,
        None,
        notice,
        None,
    )


def alone(number: int, opened: float = 0.0, *, cleared: float | None = None, notice: int | None = None) -> Alert:
    """The same of a device without a site."""
    return replace(alert(number, opened, cleared=cleared, notice=notice), site=None)


def numbers(messages: list[Message]) -> list[list[int]]:
    return [[one.alert_id for one in message.alerts] for message in messages]


def test_who_stands_alone_is_told_of_at_once_and_once() -> None:
    [message] = plan([alone(1)], NOW).messages
    assert message == Message("opened", "default", [alone(1)])
    assert plan([alone(1, notice=7)], NOW).messages == []
    assert plan([replace(alone(1), acknowledged_at=NOW)], NOW).messages == [], "somebody knows"
    assert plan([alone(1, 60, cleared=0)], NOW).messages == [], "it was over before anybody was told"


def test_a_site_waits_for_its_others_and_is_one_message() -> None:
    site = [alert(1, SITE_WINDOW), alert(2, 3)]
    assert numbers(plan(site, NOW).messages) == [[1, 2]]
    assert plan(site, NOW - timedelta(seconds=0.1)).messages == []
    assert plan([alert(1, 0)], NOW).messages == []
    assert numbers(plan([alert(1, -1)], NOW).messages) == [[1]], "a clock that was put back waits for nothing"


def test_another_site_organisation_and_kind_are_other_messages() -> None:
    others = [
        alert(1),
        replace(alert(2), site="Hall 4"),
        replace(alert(3), organisation_id="acme"),
        replace(alert(4), kind=kinds.SPOOL),
        replace(alert(5), kind=kinds.CAMERA),  # no site has it as a whole
        replace(alert(6), kind=kinds.CAMERA),
        replace(alert(7, 0), kind="of a newer release"),
        replace(alert(8, 0), kind="of a newer release"),
        alone(9),
        alone(10),
    ]
    found = numbers(plan(others[:5], NOW).messages) + numbers(plan(others[5:], NOW).messages)
    assert sorted(found) == [[1], [2], [3], [4], [5], [6], [7], [8], [9], [10]]
    assert numbers(plan([replace(alert(5, 0), kind=kinds.CAMERA)], NOW).messages) == [[5]], "so it waits for nobody"


def test_what_is_silenced_is_told_of_later_and_not_at_all_where_it_is_over() -> None:
    mine, theirs = alone(1), alone(2)
    silenced = {1}
    found = plan([mine, theirs], NOW, lambda one: one.alert_id in silenced)
    assert numbers(found.messages) == [[2]] and found.unsaid == []
    over = [alone(1, 60, cleared=0, notice=7), alone(2, 60, cleared=0, notice=8)]
    found = plan(over, NOW, lambda one: one.alert_id in silenced)
    assert [one.alert_id for one in found.unsaid] == [1]
    assert numbers(found.messages) == [[2]] and found.messages[0].type == "cleared"
    assert plan([alone(1, notice=7)], NOW, lambda _: True).unsaid == [], "it is not over"


def test_in_quiet_hours_an_organisation_is_told_nothing_and_loses_nothing() -> None:
    everyone = [alone(1), alone(2, 60, cleared=0, notice=7), replace(alone(3), organisation_id="acme")]
    found = plan(everyone, NOW, lambda _: True, lambda organisation_id: organisation_id == "default")
    assert found.messages == [] and found.unsaid == []
    found = plan(everyone, NOW, quiet=lambda organisation_id: organisation_id == "default")
    assert [(one.organisation_id, one.alerts[0].alert_id) for one in found.messages] == [("acme", 3)]


def test_a_return_is_told_when_all_are_back_or_after_a_while_with_those_that_are_not() -> None:
    back, still = alert(1, 900, cleared=BACK_WINDOW, notice=7), alert(2, 900, notice=7)
    [message] = plan([back, still], NOW).messages
    assert message == Message("cleared", "default", [back], [still])
    assert plan([back, still], NOW - timedelta(seconds=0.1)).messages == []
    later = alert(3, 900, cleared=1, notice=7)
    [message] = plan([back, later, still], NOW).messages
    assert (message.alerts, message.still_open) == ([back, later], [still]), "who was first counts"
    assert plan([later, still], NOW).messages == [] == plan([still], NOW).messages
    assert plan([alert(3, 900, cleared=0, notice=7), still], NOW).messages == []
    assert numbers(plan([alert(3, 900, cleared=-1, notice=7), still], NOW).messages) == [[3]]
    assert numbers(plan([later, alert(2, 900, cleared=0, notice=7)], NOW).messages) == [[3, 2]]
    other = alert(4, 900, cleared=0, notice=8)
    assert numbers(plan([later, still, other], NOW).messages) == [[4]], "of another message"


def test_many_at_once_become_one_of_each_kind_for_each_organisation() -> None:
    assert len(plan([alone(n) for n in range(10)], NOW).messages) == 10
    many = [alone(n) for n in range(11)]
    theirs = [replace(alone(n), organisation_id="acme") for n in range(100, 102)]
    over = [alone(200 + n, 900, cleared=BACK_WINDOW, notice=n) for n in range(11)]
    still = alone(300, 900, notice=0)
    found = plan([*many, *theirs, *over, still], NOW).messages
    assert [(one.type, one.organisation_id, len(one.alerts)) for one in found] == [
        ("opened", "default", 11),
        ("cleared", "default", 11),
        ("opened", "acme", 1),
        ("opened", "acme", 1),
    ]
    assert found[1].still_open == [still]
