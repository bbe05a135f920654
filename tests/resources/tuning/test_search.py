"""Searches that are interrupted, killed, shared and damaged, with real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from resources.tuning.journal import journal_of
from resources.tuning.search import Budget, SearchProgress, search
from resources.tuning.stored import read_studies, read_study
from tests.resources.tuning.bowl import Bowl
from trading_dag.errors import NoBudgetError, StudyJournalError
from trading_dag.models.tuning.record import StudyRecord, TrialRecord

PATIENCE_SECONDS = 600.0


def record(home: Path, bowl: Bowl | None = None) -> StudyRecord:
    found = read_study(journal_of(home, (bowl or Bowl()).name))
    assert found is not None
    return found


def told(trials: tuple[TrialRecord, ...]) -> list[tuple[Any, ...]]:
    return [(trial.number, trial.state, dict(trial.parameters), trial.value, trial.fold_values) for trial in trials]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    home = tmp_path_factory.mktemp("uninterrupted")
    search(Bowl(), home=home, budget=Budget(30))
    return record(home)


@contextmanager
def worker(home: Path, trials: int, pause: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.resources.tuning.bowl", str(home), str(trials), str(pause)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for_trials(home: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    journal = journal_of(home, Bowl().name)
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before"
        if journal.is_file() and journal.read_bytes().count(b'"op_code":4') >= count:
            return
        time.sleep(0.01)
    pytest.fail("waited in vain")


def test_a_search_starts_with_the_learners_own_values_and_finds_better(uninterrupted: StudyRecord) -> None:
    first, *others = uninterrupted.trials
    assert dict(first.parameters) == {"x": 4.0, "scale": 0.5, "depth": 6}
    assert first.value == pytest.approx(uninterrupted.own_values)
    assert uninterrupted.best is not None
    assert uninterrupted.best.value is not None
    assert first.value is not None
    assert uninterrupted.best.value < first.value / 4
    assert uninterrupted.has_ended
    assert uninterrupted.reference == 9.0
    assert len(others) == 29


def test_trials_that_are_worse_than_most_end_early_and_keep_the_folds_they_came_to(uninterrupted: StudyRecord) -> None:
    pruned = [trial for trial in uninterrupted.trials if trial.state == "pruned"]
    assert 3 < len(pruned) < 25
    assert all(1 <= len(trial.fold_values) < 3 for trial in pruned)
    assert all(trial.value == pytest.approx(sum(trial.fold_values) / len(trial.fold_values)) for trial in pruned)
    assert all(len(trial.fold_values) == 3 for trial in uninterrupted.trials if trial.state == "complete")
    assert all(trial.number >= 5 for trial in pruned)


def test_the_same_seed_gives_the_same_trials_and_another_others(tmp_path: Path, uninterrupted: StudyRecord) -> None:
    search(Bowl(), home=tmp_path, budget=Budget(30))
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)
    search(Bowl(seed=7), home=tmp_path, budget=Budget(3))
    others = record(tmp_path, Bowl(seed=7)).trials
    assert told(others)[0] == told(uninterrupted.trials)[0]
    assert told(others)[1] != told(uninterrupted.trials)[1]


def test_a_search_in_parts_has_the_trials_of_one_without_a_break(tmp_path: Path, uninterrupted: StudyRecord) -> None:
    for trials in (4, 4, 17, 30):
        search(Bowl(), home=tmp_path, budget=Budget(trials))
        assert len(record(tmp_path).trials) == trials
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)


def test_killed_processes_lose_and_double_no_trial(tmp_path: Path, uninterrupted: StudyRecord) -> None:
    """Four are killed with SIGKILL while they search; the fifth is left to end."""
    for finished in (1, 5, 11, 19):
        with worker(tmp_path, 30, 0.02) as process:
            wait_for_trials(tmp_path, finished, process)
            process.kill()
    assert not record(tmp_path).has_ended
    with worker(tmp_path, 30, 0.0) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)
    assert record(tmp_path).has_ended


def test_two_processes_share_a_search_without_losing_or_doubling_a_trial(tmp_path: Path) -> None:
    with worker(tmp_path, 24, 0.05) as one, worker(tmp_path, 24, 0.05) as other:
        assert [one.wait(PATIENCE_SECONDS), other.wait(PATIENCE_SECONDS)] == [0, 0]
    study = record(tmp_path)
    assert [trial.number for trial in study.trials] == list(range(24))
    assert {trial.state for trial in study.trials} <= {"complete", "pruned"}
    assert len({tuple(sorted(trial.parameters.items())) for trial in study.trials}) == 24
    assert study.has_ended
    journal = journal_of(tmp_path, Bowl().name)
    owners = {
        line.split(b'"worker":"')[1].split(b'"')[0]
        for line in journal.read_bytes().splitlines()
        if b'"worker":"' in line
    }
    assert len(owners) == 2, "both worked on it"


def test_a_living_process_keeps_its_trial_while_others_go_on(tmp_path: Path) -> None:
    with worker(tmp_path, 5, 60.0) as slow:
        deadline = time.monotonic() + PATIENCE_SECONDS
        journal = journal_of(tmp_path, Bowl().name)
        while not (journal.is_file() and b'"worker":"' in journal.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        search(Bowl(), home=tmp_path, budget=Budget(5))
        assert slow.poll() is None
        assert [trial.state for trial in record(tmp_path).trials].count("running") == 1
        assert not record(tmp_path).has_ended
    search(Bowl(), home=tmp_path, budget=Budget(5))
    assert [trial.number for trial in record(tmp_path).trials] == list(range(5))
    assert {trial.state for trial in record(tmp_path).trials} == {"complete"}


class _Stopped(Bowl):
    """Ends its process, as Ctrl-C does, in the second trial."""

    def score(self, parameters: Mapping[str, Any], fold: int) -> float:
        if parameters["x"] != 4.0 and fold == 1:
            raise SystemExit(130)
        return super().score(parameters, fold)


def test_an_interrupted_trial_is_run_again_by_whoever_comes_next(tmp_path: Path, uninterrupted: StudyRecord) -> None:
    with pytest.raises(SystemExit):
        search(_Stopped(), home=tmp_path, budget=Budget(4))
    states = [trial.state for trial in record(tmp_path).trials]
    assert states == ["complete", "running"]
    search(Bowl(), home=tmp_path, budget=Budget(4))
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)[:4]


class _Cornered(Bowl):
    """Fails in a corner of its space, and is no number in another."""

    def score(self, parameters: Mapping[str, Any], fold: int) -> float:
        if parameters["depth"] == 6:
            raise ValueError("too deep")
        return float("nan") if parameters["depth"] == 1 else super().score(parameters, fold)


def test_a_trial_that_fails_is_kept_with_its_reason_and_the_search_goes_on(tmp_path: Path) -> None:
    search(_Cornered(), home=tmp_path, budget=Budget(20))
    study = record(tmp_path)
    failed = {trial.number: trial for trial in study.trials if trial.state == "failed"}
    assert failed[0].reason == "ValueError: too deep"
    assert any(trial.reason == "ValueError: the score on inner fold 1 is nan" for trial in failed.values())
    assert all(trial.value is None for trial in failed.values())
    assert len(study.trials) == 20
    assert study.own_values is None
    assert study.best is not None


def test_time_bounds_a_search_and_progress_tells_what_is_left(tmp_path: Path) -> None:
    heard: list[SearchProgress] = []
    seconds = iter(range(0, 1000, 2))
    done = search(
        Bowl(), home=tmp_path, budget=Budget(None, seconds=20.0), tell=heard.append, clock=lambda: float(next(seconds))
    )
    assert done.finished == len(heard) == len(record(tmp_path).trials)
    assert 3 <= done.finished <= 6
    assert [each.finished for each in heard] == list(range(1, done.finished + 1))
    lefts = [each.seconds_left for each in heard]
    assert lefts == sorted(lefts, reverse=True)  # type: ignore[type-var]
    assert heard[0].best == record(tmp_path).trials[0].value
    assert record(tmp_path).has_ended


@pytest.mark.parametrize(
    ("trials", "seconds"), [(None, None), (0, None), (-3, None), (None, 0.0), (5, 0.0), (None, float("nan"))]
)
def test_a_budget_that_is_none_is_refused(trials: int | None, seconds: float | None) -> None:
    with pytest.raises(NoBudgetError, match="a search needs"):
        Budget(trials, seconds)


def test_half_a_line_of_a_killed_writer_is_cut_off_and_the_search_goes_on(
    tmp_path: Path, uninterrupted: StudyRecord
) -> None:
    search(Bowl(), home=tmp_path, budget=Budget(6))
    journal = journal_of(tmp_path, Bowl().name)
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"gone-1","study_')
    assert len(record(tmp_path).trials) == 6
    search(Bowl(), home=tmp_path, budget=Budget(30))
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)


@pytest.mark.parametrize("damage", [b"\x00\xff garbage\n", b"[1, 2]\n", b'{"op_code":99,"worker_id":"a"}\n', b"{}\n"])
def test_a_damaged_journal_is_named_with_what_to_do(tmp_path: Path, damage: bytes) -> None:
    search(Bowl(), home=tmp_path, budget=Budget(3))
    journal = journal_of(tmp_path, Bowl().name)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], damage, *lines[4:]]))
    for read in (lambda: record(tmp_path), lambda: search(Bowl(), home=tmp_path, budget=Budget(5))):
        with pytest.raises(StudyJournalError) as caught:
            read()
        assert str(journal) in str(caught.value)
        assert "move the file away" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    search(Bowl(seed=7), home=tmp_path, budget=Budget(2))
    strange = journal_of(tmp_path, Bowl().name)
    strange.write_bytes(journal_of(tmp_path, Bowl(seed=7).name).read_bytes())
    with pytest.raises(StudyJournalError, match="holds another search than its name says"):
        search(Bowl(), home=tmp_path, budget=Budget(2))
    lines = journal_of(tmp_path, Bowl(seed=7).name).read_bytes().splitlines(keepends=True)
    strange.write_bytes(lines[0] + lines[0].replace(b'"study_name":"', b'"study_name":"another'))
    with pytest.raises(StudyJournalError, match="holds 2 searches"):
        read_studies(tmp_path, ticker="SPY", horizon="24h")


@pytest.mark.parametrize("lines", [0, 1])
def test_a_search_that_is_only_being_begun_is_none_yet_and_can_be_begun(
    tmp_path: Path, uninterrupted: StudyRecord, lines: int
) -> None:
    search(Bowl(), home=tmp_path, budget=Budget(1))
    journal = journal_of(tmp_path, Bowl().name)
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))
    assert read_studies(tmp_path, ticker="SPY", horizon="24h") == []
    search(Bowl(), home=tmp_path, budget=Budget(4))
    assert told(record(tmp_path).trials) == told(uninterrupted.trials)[:4]
