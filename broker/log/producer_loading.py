"""Gives a partition's producer state back: a snapshot, and the batch headers behind it.

Rules: reads segments and snapshots; must not know why the state is needed again.
Source: Kafka's UnifiedLog.rebuildProducerState.
"""

from pathlib import Path

from broker.log.producer_state import ProducerState
from broker.log.segment import Segment
from broker.log.segments import Segments
from broker.log.snapshots import latest_snapshot, snapshot_offsets, snapshot_path
from broker.log.transaction_index import AbortedTransaction
from broker.protocol.records import decode_marker

_CACHE_WINDOW_BYTES = 256 * 1024


def load_producers(directory: Path, segments: Segments, *, up_to: int, end: int) -> ProducerState:
    """The newest snapshot that holds nothing doubtful, and the batches behind it, up to the log end.

    Snapshots beyond `end` speak of records that are gone and are removed. Transactions aborted at `up_to` or later are
    entered into their segment's index, those before are there already.
    """
    for offset in snapshot_offsets(directory):
        if offset > end:
            snapshot_path(directory, offset).unlink()
    found = latest_snapshot(directory, up_to=up_to)
    state, offset = found or (ProducerState(), segments.first.base_offset)
    if state.producers:
        _fill_caches(state, segments, offset)
    for segment in segments.from_offset(offset):
        _replay(state, segment, offset, up_to)
    return state


def _fill_caches(state: ProducerState, segments: Segments, offset: int) -> None:
    """A snapshot keeps one batch per producer; those before it, for late repeats, are still in the log."""
    segment = segments.holding(max(offset - 1, segments.first.base_offset))
    span = segment.find(offset)
    end = span.position if span else segment.size
    start = segment.index.last_position_up_to(max(end - _CACHE_WINDOW_BYTES, 0))
    state.prepend(header for _, header in segment.headers(start, end) if not header.is_control)


def _replay(state: ProducerState, segment: Segment, offset: int, aborted_from: int) -> None:
    if offset <= segment.base_offset:
        start = 0
    else:
        span = segment.find(offset)
        if span is None:
            return
        start = span.position
    for position, header in segment.headers(start):
        if header.producer_id < 0:
            continue
        if not header.is_control:
            state.append(header, header.base_offset)
            continue
        marker = decode_marker(segment.read(position, header.size), header)
        if marker is None:
            continue
        ended = state.append_marker(
            header, header.base_offset, committed=marker.commit, coordinator_epoch=marker.coordinator_epoch
        )
        if ended is not None and not marker.commit and header.base_offset >= aborted_from:
            stable = state.last_stable_offset_after(ended, header.base_offset + 1)
            segment.transactions.append(
                AbortedTransaction(ended.producer_id, ended.first_offset, header.base_offset, stable)
            )
