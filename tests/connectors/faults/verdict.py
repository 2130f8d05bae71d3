"""What must be true after every fault, whatever it was; each check names what is wrong.

In:  a plant whose workers have stopped, and what was sent.
Out: the numbers that a test prints.
"""

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from pigeon_recsys.generation.image_names import picture_name, result_name, sweep_name
from pigeon_recsys.generation.sweep_record import decode_sweep
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import GeneratedItem, content_hash
from pigeon_recsys.streaming.dead_letters import REASON, SOURCE, SUFFIX
from pigeon_recsys.streaming.event_log import Record
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.generation_requests import JsonRequests
from pigeon_recsys.streaming.jobs import GenerationJob, _seed
from pigeon_recsys.streaming.user_demand import UserDemand
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_items import FeastItemStore
from pigeon_recsys_connectors.whole_files import INCOMING
from tests.connectors.faults.journal import MADE, Journal, made_for_nothing
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import Plant
from tests.connectors.faults.watch import Watch
from tests.connectors.reading import read_all

MARKER = ".pigeon-recsys"


@dataclass
class Verdict:
    """Checks one after the other; `counts` grows with each."""

    plant: Plant
    mix: Mix
    counts: dict[str, int] = field(default_factory=dict)

    def check(self) -> dict[str, int]:
        """Check everything and return the counts."""
        self._check_histories()
        jobs = self._jobs_started()
        items = self._published()
        failed = self._check_letters(jobs)
        self._check_results(jobs, items, failed)
        self._check_stored(items)
        self._check_journal(jobs)
        self._check_offsets()
        self._check_files()
        return self.counts

    def _check_histories(self) -> None:
        """Every valid event is in the history exactly once, and the changelog says the same."""
        expected = self.mix.histories()
        stored = FeastHistoryStore.open(self.plant.feast).states(expected)
        wrong = [user for user in expected if _bytes(stored.get(user)) != expected[user].to_bytes()]
        assert not wrong, f"{len(wrong)} histories differ from their events, such as {wrong[:3]}"
        newest = {record.key: record.value for record in self._all(self.plant.topics.histories)}
        told = {user.encode(): state.to_bytes() for user, state in expected.items()}
        assert newest == told, "the changelog's newest states are not those of the events"
        self.counts["events"] = len(self.mix.events)
        self.counts["records sent"] = self.mix.num_records[self.plant.topics.events]
        self.counts["histories"] = len(expected)
        self.counts["places in them"] = sum(len(each.entries) for each in expected.values())

    def _jobs_started(self) -> dict[str, GenerationJob]:
        """Return the jobs that the topic of state tells of; none of them starts twice."""
        in_hand: dict[bytes | None, str | None] = {}
        jobs: dict[str, GenerationJob] = {}
        for record in self._all(self.plant.topics.state):
            job = _job_in_hand(record)
            if job is not None and job.key != in_hand.get(record.key):
                assert job.key not in jobs, f"job {job.key} of {record.key!r} has started twice"
                jobs[job.key] = job
            in_hand[record.key] = None if job is None else job.key
        left = [key for key in in_hand.values() if key]
        assert not left, f"{len(left)} jobs are still in hand: {left[:3]}"
        self.counts["jobs"] = len(jobs)
        return jobs

    def _published(self) -> dict[str, GeneratedItem]:
        """Return the items on their topic by job; no job has two."""
        codec = JsonGeneratedItems()
        items = [codec.decode(each.value or b"") for each in self._all(self.plant.topics.generated)]
        times = Counter(item.job_key for item in items)
        twice = [key for key, count in times.items() if count > 1]
        assert not twice, f"{len(twice)} jobs were published twice: {twice[:3]}"
        self.counts["published"] = len(items)
        return {item.job_key: item for item in items}

    def _check_letters(self, jobs: Mapping[str, GenerationJob]) -> set[str]:
        """Every bad record is a dead letter once, for its reason; return the jobs that are."""
        events, requests, histories = (
            self._all(topic + SUFFIX)
            for topic in (
                self.plant.topics.events, self.plant.topics.requests, self.plant.topics.histories
            )
        )  # fmt: skip
        assert not histories, f"{len(histories)} histories are dead letters"
        of_request = {job.request_id: key for key, job in jobs.items() if job.request_id}
        failed: Counter[str] = Counter()
        found = Counter(_told(letter) for letter in events)
        for letter in requests:
            key = _job_of(letter, of_request, jobs)
            if key is None:
                found[_told(letter)] += 1
                continue
            failed[key] += 1
            wanted = self.mix.failing.get(jobs[key].user_id)
            assert _told(letter)[3] == wanted, f"{_told(letter)} instead of {wanted!r}"
        expected = Counter((e.topic, e.key, e.value, e.reason) for e in self.mix.letters)
        missing, surplus = expected - found, found - expected
        assert not missing, f"{missing.total()} dead letters are missing: {_first(missing)}"
        assert not surplus, f"{surplus.total()} dead letters should not be: {_first(surplus)}"
        assert not failed or max(failed.values()) == 1, f"{failed} failed more than once"
        sources = Counter(dict(letter.headers)[SOURCE] for letter in events)
        assert not events or max(sources.values()) == 1, "a record is a dead letter twice"
        self.counts["dead letters"] = len(events) + len(requests)
        self.counts["jobs failed"] = len(failed)
        return set(failed)

    def _check_results(
        self,
        jobs: Mapping[str, GenerationJob],
        items: Mapping[str, GeneratedItem],
        failed: set[str],
    ) -> None:
        """Every job has one result, but for those of users who were erased meanwhile."""
        assert items.keys() <= jobs.keys(), "an item is of a job that nobody started"
        both = items.keys() & failed
        assert not both, f"{len(both)} jobs are published and dead letters too"
        neither = jobs.keys() - items.keys() - failed
        lost = [key for key in neither if jobs[key].user_id not in self.mix.erased]
        assert not lost, f"{len(lost)} jobs have no result: {self._told_of(jobs[lost[0]])}"
        unfailed = {job.user_id for key, job in jobs.items() if job.user_id in self.mix.failing} - {
            jobs[key].user_id for key in failed
        }
        assert not unfailed, f"{unfailed} should have failed"
        self.counts["called off"] = len(neither)

    def _told_of(self, job: GenerationJob) -> str:
        """Return a job and what the topic of state told of its user, record by record."""
        told = [
            (record.partition, record.offset, in_hand.key if in_hand else None)
            for record in self._all(self.plant.topics.state)
            if record.key == job.user_id.encode()
            for in_hand in [_job_in_hand(record)]
        ]
        return f"{job}, told of as (partition, offset, job in hand): {told}"

    def _check_stored(self, items: Mapping[str, GeneratedItem]) -> None:
        """What is published can be looked up: the item, its picture, its result."""
        stored = FeastItemStore.open(self.plant.feast).items(i.item_id for i in items.values())
        codec = JsonGeneratedItems()
        for key, item in items.items():
            kept = stored.get(item.item_id)
            assert kept is not None, f"{item.item_id} is not in the item store"
            assert codec.encode(kept) == codec.encode(item), f"{item.item_id} differs in the store"
            result = (self.plant.images / result_name(key)).read_bytes()
            assert result == codec.encode(item), f"the result of job {key} is another's"
            place = self.plant.images / picture_name(item.provenance.content_hash)
            assert item.image == f"file://{place}", f"{item.image} is not at {place}"

    def _check_journal(self, jobs: Mapping[str, GenerationJob]) -> None:
        """No picture was made that its maker could have found."""
        lines = Journal(self.plant.journal).lines()
        attempts = range(self.plant.queue.max_attempts)
        key_of_seed = {_seed(key, attempt): key for key in jobs for attempt in attempts}
        wasted = made_for_nothing(lines, key_of_seed)
        assert not wasted, f"{len(wasted)} pictures were made though stored: {wasted[:3]}"
        made = Counter(int(subject) for _, what, subject in lines if what == MADE)
        strange = made.keys() - key_of_seed.keys()
        assert not strange, f"{len(strange)} pictures were made for no job"
        self.counts["pictures made"] = made.total()
        self.counts["made again"] = made.total() - len(made)

    def _check_offsets(self) -> None:
        """Everything read is committed as read."""
        assert (left := Watch(self.plant).unfinished()) == "", left

    def _check_files(self) -> None:
        """No temporary files, no half pictures; nothing beside what belongs there."""
        left = [*self.plant.temporary.iterdir(), *(self.plant.images / INCOMING).iterdir()]
        assert not left, f"temporary files are left: {left[:3]}"
        files = [path for path in self.plant.images.rglob("*") if path.is_file()]
        names = {path.relative_to(self.plant.images).as_posix(): path for path in files}
        for name, path in names.items():
            _check_file(name, path.read_bytes())
        kinds = {path.name for path in (self.plant.feast / "data").iterdir()}
        strange = {name for name in kinds if not name.endswith((".db", ".lock", ".parquet"))}
        assert not strange, f"the store's folder also holds {strange}"
        self.counts["pictures stored"] = sum(name.endswith(".png") for name in names)

    def _all(self, topic: str) -> list[Record]:
        return read_all(self.plant.bootstrap, topic)


def _bytes(state: HistoryState | None) -> bytes:
    return b"" if state is None else state.to_bytes()


def _told(letter: Record) -> tuple[str, bytes | None, bytes | None, str]:
    reason = dict(letter.headers)[REASON].decode()
    return letter.topic.removesuffix(SUFFIX), letter.key, letter.value, reason


def _first(letters: Counter[tuple[str, bytes | None, bytes | None, str]]) -> object:
    topic, key, value, reason = min(letters, key=repr)
    return topic, key, (value or b"")[:200], reason


def _job_of(
    letter: Record, of_request: Mapping[str, str], jobs: Mapping[str, GenerationJob]
) -> str | None:
    """Return the job that failed, None where a letter is of none."""
    if b"/" in dict(letter.headers)[SOURCE]:  # a record as it was read
        return None
    request = JsonRequests().decode(letter.value or b"")
    key = request.request_id.removeprefix("job-")
    return key if key in jobs else of_request.get(request.request_id)


def _check_file(name: str, content: bytes) -> None:
    """Fail on a file that is not whole, or not what its name says."""
    if name.endswith(".png"):
        with Image.open(io.BytesIO(content)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert name == picture_name(content_hash(pixels)), f"{name} shows something else"
    elif name.startswith("sweeps/"):
        decode_sweep(content)
        assert name == sweep_name(PurePosixPath(name).stem)
    elif name.endswith(".json"):
        assert name == result_name(JsonGeneratedItems().decode(content).job_key)
    else:
        assert name == MARKER, f"{name} does not belong into the store of pictures"


def _job_in_hand(record: Record) -> GenerationJob | None:
    """Return the job that a record of the state topic says its user has, if any."""
    return UserDemand.from_bytes(record.value).job if record.value else None
