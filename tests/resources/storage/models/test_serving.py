"""Champion and challenger in the store: what is recorded, what a rollback goes back to; a kill tears nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from resources.storage.models.history import HISTORY, append_event, read_events
from resources.storage.models.serving import (
    fitted_at,
    history_of,
    inputs_of_last_fit,
    version_before,
    version_records,
)
from resources.storage.models.store import ModelStore
from tests.resources.storage.models.test_store import FEATURES, HORIZON, LABELS, NAME, SLICE, _kill_at, _Killed
from trading_dag.errors import ModelNotFoundError, SliceBusyError, StorageError, UntrustedModelError
from trading_dag.models.learning.fitted import FittedModel
from trading_dag.models.learning.versions import ServingEvent, challenges_since_first, serving_order, versions_table
from trading_dag.models.volatility import volatility_forecaster
from trading_dag.setting_groups import WalkForwardSettings

TAKES_OVER = {"kind": "no_worse", "reason": "no worse", "comparison": {"metric": "rps", "sessions": 300}}
REFUSED = {"kind": "worse", "reason": "worse", "comparison": {"metric": "rps", "sessions": 300}}
AT = {"ticker": "SPY", "horizon": "24h"}
FAMILY = volatility_forecaster.NAME


@pytest.fixture(scope="module")
def small() -> FittedModel:
    model = volatility_forecaster.fit(FEATURES, LABELS, horizon=HORIZON, settings=WalkForwardSettings())
    return replace(model, folds=model.folds_of(volatility_forecaster.LOGISTIC)[-1:])


def ticking() -> Iterator[dt.datetime]:
    moment = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    while True:
        moment += dt.timedelta(days=1)
        yield moment


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    clock = ticking()
    return ModelStore(tmp_path / "models", clock=lambda: next(clock))


def save(store: ModelStore, model: FittedModel, day: str, decision: dict[str, object] = TAKES_OVER) -> str:
    """A version that differs by its inputs, decided about as told."""
    champion = store.version_in_use(FAMILY, **AT)
    kind = decision["kind"]
    return store.save(
        replace(model, inputs={"features": day}), make_latest=kind != "worse", decision=decision, champion=champion
    )


def folder_of(store: ModelStore) -> Path:
    return store.folder(FAMILY, **AT)


def test_a_version_that_is_refused_is_kept_and_recorded_and_another_serves(
    store: ModelStore, small: FittedModel
) -> None:
    champion = save(store, small, "monday", {"kind": "first", "reason": "the first"})
    challenger = save(store, small, "tuesday", REFUSED)
    assert store.latest_version(FAMILY, **AT) == champion
    assert store.versions(FAMILY, **AT) == (champion, challenger)
    first, second = history_of(store, FAMILY, **AT)
    assert (first.event, first.version, first.serves, first.served_before) == ("fitted", champion, champion, None)
    assert (second.version, second.serves, second.served_before) == (challenger, champion, champion)
    assert second.kind == "worse"
    assert second.comparison == {"metric": "rps", "sessions": 300}
    assert not second.takes_over


def test_the_inputs_of_what_was_refused_count_as_tried(store: ModelStore, small: FittedModel) -> None:
    assert inputs_of_last_fit(store, FAMILY, **AT) is None
    save(store, small, "monday")
    save(store, small, "tuesday", REFUSED)
    assert inputs_of_last_fit(store, FAMILY, **AT) == {"features": "tuesday"}
    assert store.inputs(FAMILY, **AT) == {"features": "monday"}


def test_after_a_rollback_the_last_fit_is_not_tried_again(store: ModelStore, small: FittedModel) -> None:
    monday, _ = save(store, small, "monday"), save(store, small, "tuesday")
    assert version_before(store, FAMILY, **AT) == monday
    store.promote(FAMILY, **AT, version=monday, reason="Tuesday's signals were odd", event="rolled_back")
    assert store.latest_version(FAMILY, **AT) == monday
    assert inputs_of_last_fit(store, FAMILY, **AT) == {"features": "tuesday"}
    last = history_of(store, FAMILY, **AT)[-1]
    assert (last.event, last.kind, last.reason) == ("rolled_back", "person", "Tuesday's signals were odd")


def test_a_rollback_goes_back_step_by_step_and_never_to_what_was_refused(store: ModelStore, small: FittedModel) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday")
    save(store, small, "wednesday", REFUSED)
    thursday = save(store, small, "thursday")
    seen = [thursday]
    while (target := version_before(store, FAMILY, **AT)) is not None:
        store.promote(FAMILY, **AT, version=target, reason="back", event="rolled_back")
        seen.append(target)
    assert seen == [thursday, tuesday, monday]
    store.promote(FAMILY, **AT, version=thursday, reason="it was right")
    assert version_before(store, FAMILY, **AT) == monday


def test_a_rollback_passes_over_the_same_model_and_what_is_gone(store: ModelStore, small: FittedModel) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday")
    save(store, small, "tuesday", {"kind": "same_model", "reason": "the same"})
    assert version_before(store, FAMILY, **AT) == monday
    store.remove(FAMILY, **AT, version=monday)
    assert version_before(store, FAMILY, **AT) is None
    assert tuesday in store.versions(FAMILY, **AT)


def test_versions_from_before_events_were_recorded_can_be_rolled_back_and_count_as_tried(
    store: ModelStore, small: FittedModel
) -> None:
    older, newer = (store.save(replace(small, inputs={"features": day})) for day in ("monday", "tuesday"))
    assert history_of(store, FAMILY, **AT) == ()
    assert version_before(store, FAMILY, **AT) == older
    assert inputs_of_last_fit(store, FAMILY, **AT) == {"features": "tuesday"}
    assert {record.row()["decision"] for record in version_records(store, FAMILY, **AT)} == {"not_recorded"}
    assert newer == store.latest_version(FAMILY, **AT)


def test_the_table_of_versions_says_who_serves_why_and_on_what_data(store: ModelStore, small: FittedModel) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday", REFUSED)
    table = versions_table(version_records(store, FAMILY, **AT)).set_index("version")
    assert list(table.index) == [monday, tuesday]
    assert list(table["serves"]) == [True, False]
    assert list(table["decision"]) == ["no_worse", "worse"]
    assert table.loc[tuesday, "compared_with"] == monday
    assert table.loc[tuesday, "compared_sessions"] == 300
    live = small.folds[-1]
    assert table.loc[monday, "fitted_through"] == live.fitted_through
    assert table.loc[monday, "train_first_session"] == live.train_first_session
    assert table.loc[monday, "fitted_at"] == fitted_at(monday)
    assert challenges_since_first(history_of(store, FAMILY, **AT)) == 2


def test_a_version_with_an_altered_file_is_not_promoted(store: ModelStore, small: FittedModel) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday")
    path = next((folder_of(store) / monday).glob("*.skops"))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UntrustedModelError):
        store.promote(FAMILY, **AT, version=monday, reason="back")
    assert store.latest_version(FAMILY, **AT) == tuesday
    assert len(history_of(store, FAMILY, **AT)) == 2


def test_what_is_being_saved_is_not_promoted_and_what_is_not_there_is_named(
    store: ModelStore, small: FittedModel
) -> None:
    from filelock import FileLock

    monday = save(store, small, "monday")
    with FileLock(folder_of(store) / ".lock"), pytest.raises(SliceBusyError):
        store.promote(FAMILY, **AT, version=monday, reason="again")
    with pytest.raises(ModelNotFoundError, match="no version"):
        store.promote(FAMILY, **AT, version="20200101T000000000000Z-00000000", reason="again")


def test_a_decision_about_a_version_that_serves_no_more_is_not_carried_out(
    store: ModelStore, small: FittedModel
) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday")
    wednesday = replace(small, inputs={"features": "wednesday"})
    with pytest.raises(StorageError, match="came into use while"):
        store.save(wednesday, decision=TAKES_OVER, champion=monday)
    assert store.latest_version(FAMILY, **AT) == tuesday
    assert len(store.versions(FAMILY, **AT)) == 3, "what was fitted is not lost"


@pytest.mark.parametrize("decision", [TAKES_OVER, REFUSED])
def test_a_kill_between_save_record_and_pointer_loses_no_version_and_tears_nothing(
    store: ModelStore, small: FittedModel, decision: dict[str, object]
) -> None:
    monday = save(store, small, "monday")
    kept: set[str] = {monday}
    for step in range(1, 100):
        before = store.latest_version(FAMILY, **AT)
        assert before is not None
        with pytest.MonkeyPatch.context() as patch:
            _kill_at(patch, step)
            try:
                save(store, small, f"day {step}", decision)
            except _Killed:
                pass
            else:
                break
        assert kept <= set(store.versions(FAMILY, **AT))
        kept = set(store.versions(FAMILY, **AT))
        for version in kept:
            store.load(FAMILY, **AT, version=version)
        latest = store.latest_version(FAMILY, **AT)
        events = history_of(store, FAMILY, **AT)
        assert latest in (before, *(event.version for event in events))
        tried = inputs_of_last_fit(store, FAMILY, **AT)
        decided = [event for event in events if event.event == "fitted" and event.serves in (latest, event.version)]
        assert tried is not None
        if latest == before and decision is TAKES_OVER:
            assert tried == store.inputs(FAMILY, **AT), "what was cut off before it served is fitted again"
        assert decided
    assert step >= 8
    assert history_of(store, FAMILY, **AT)[-1].kind == decision["kind"]
    assert version_before(store, FAMILY, **AT) is None or decision is TAKES_OVER


@pytest.mark.parametrize("step", range(1, 6))
def test_a_kill_within_a_promotion_leaves_one_of_the_two_in_use(
    store: ModelStore, small: FittedModel, step: int
) -> None:
    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday")
    with pytest.MonkeyPatch.context() as patch:
        _kill_at(patch, step)
        with suppress(_Killed):
            store.promote(FAMILY, **AT, version=monday, reason="back", event="rolled_back")
    latest = store.latest_version(FAMILY, **AT)
    assert latest in (monday, tuesday)
    assert version_before(store, FAMILY, **AT) == (monday if latest == tuesday else None)
    store.promote(FAMILY, **AT, version=monday, reason="again", event="rolled_back")
    assert store.latest_version(FAMILY, **AT) == monday


def test_half_a_line_at_the_end_of_the_record_is_none_and_goes_with_the_next_event(tmp_path: Path) -> None:
    event = ServingEvent("2025-01-01", "fitted", "b", "b", "a", "no_worse", "no worse")
    append_event(tmp_path / HISTORY, event)
    with (tmp_path / HISTORY).open("ab") as handle:
        handle.write(b'{"at": "2025-01-02", "ev')
    assert read_events(tmp_path) == (event,)
    append_event(tmp_path / HISTORY, event)
    assert read_events(tmp_path) == (event, event)


@pytest.mark.parametrize(
    "line", ["{", "[]", "null", '{"at": 1}', json.dumps({"at": "x"}), json.dumps(dict.fromkeys("abc"))]
)
def test_a_line_that_is_no_event_is_a_storage_error_that_names_it(tmp_path: Path, line: str) -> None:
    append_event(tmp_path / HISTORY, ServingEvent("2025-01-01", "fitted", "b", "b", None, "first", "the first"))
    with (tmp_path / HISTORY).open("a") as handle:
        handle.write(line + "\n")
    with pytest.raises(StorageError, match="line 2"):
        read_events(tmp_path)


def test_the_order_of_serving_passes_over_what_was_cut_off() -> None:
    def fitted(version: str, before: str | None) -> ServingEvent:
        return ServingEvent("", "fitted", version, version, before, "no_worse", "")

    assert serving_order([fitted("a", None), fitted("b", "a"), fitted("c", "a")], serves="c") == ["a", "c"]
    assert serving_order([fitted("a", None), fitted("b", "a")], serves="a") == ["a"]
    assert serving_order([], serves="a") == ["a"]
    assert serving_order([fitted("b", "a")], serves="b") == ["a", "b"]


def test_a_copy_of_the_folder_is_a_backup_of_everything(store: ModelStore, small: FittedModel, tmp_path: Path) -> None:
    import shutil

    monday, tuesday = save(store, small, "monday"), save(store, small, "tuesday", REFUSED)
    shutil.copytree(store.root, tmp_path / "copy")
    copy = ModelStore(tmp_path / "copy")
    assert history_of(copy, FAMILY, **AT) == history_of(store, FAMILY, **AT)
    assert copy.latest_version(FAMILY, **AT) == monday
    copy.promote(FAMILY, **AT, version=tuesday, reason="tried on a copy")
    assert store.latest_version(FAMILY, **AT) == monday
    assert SLICE == AT
    assert NAME != FAMILY
