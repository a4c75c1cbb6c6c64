"""Blocks of a paged cache: nobody's block is given away, and what is shared is a true beginning."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.backends.openvino.kv_blocks import KvBlocks

SIZE, COUNT = 4, 12
prompts = st.lists(st.integers(0, 1), min_size=1, max_size=24)


def test_a_known_beginning_is_not_computed_again() -> None:
    blocks = KvBlocks(COUNT, SIZE)
    prompt = list(range(11))
    first = blocks.take(prompt, 13)
    assert first is not None
    assert first.past == 0
    blocks.computed(prompt, first.blocks)
    again = blocks.take([*prompt[:9], 99, 98], 11)
    assert again is not None
    assert again.past == 9
    assert again.blocks[:2] == first.blocks[:2]
    assert again.blocks[2] not in first.blocks
    assert again.copy == (first.blocks[2], again.blocks[2], 1)


def test_two_tokens_are_always_left_to_compute() -> None:
    blocks = KvBlocks(COUNT, SIZE)
    for length in (8, 9, 10):
        prompt = [7] * length
        for _ in range(2):
            taken = blocks.take(prompt, length)
            assert taken is not None
            assert length - taken.past >= 2
            blocks.computed(prompt, taken.blocks)
            blocks.give_back(taken.blocks)


def test_a_block_that_is_shared_does_not_count_as_free() -> None:
    blocks, prompt = KvBlocks(2, SIZE), [1] * 6
    taken = blocks.take(prompt, 8)
    assert taken is not None
    blocks.computed(prompt, taken.blocks)
    blocks.give_back(taken.blocks)
    assert blocks.take(prompt, 3 * SIZE) is None
    again = blocks.take(prompt, 2 * SIZE)
    assert again is not None
    assert again.past == SIZE


@settings(deadline=None)
@given(st.lists(st.tuples(prompts, st.integers(0, 8), st.booleans()), max_size=30))
def test_blocks_in_use_are_private_or_hold_the_same_beginning(
    work: list[tuple[list[int], int, bool]],
) -> None:
    blocks = KvBlocks(COUNT, SIZE)
    held: dict[int, tuple[int, ...]] = {}  # block -> the tokens up to its end, as its user believes
    running: list[tuple[list[int], list[int]]] = []
    for prompt, more, ends in work:
        taken = blocks.take(prompt, len(prompt) + more)
        if taken is None:
            used = {block for _, own in running for block in own}
            assert len(used) + blocks.needed(len(prompt) + more) > COUNT
        else:
            own, cached = taken.blocks, taken.past
            assert len(own) == len(set(own)) == blocks.needed(len(prompt) + more)
            assert cached <= max(0, len(prompt) - 2)
            whole = cached // SIZE
            if taken.copy:
                source, target, number = taken.copy
                whole = (cached - number) // SIZE
                assert target == own[whole]
                assert source not in own[:whole]
                assert held[source][: whole * SIZE + number] == tuple(prompt[:cached])
            shared = own[:whole]
            for place, block in enumerate(shared):
                assert held[block] == tuple(prompt[: (place + 1) * SIZE])
            for block in own[len(shared) :]:
                assert all(block not in other for _, other in running)
                held.pop(block, None)
            for place in range(len(shared), -(-len(prompt) // SIZE)):
                held[own[place]] = tuple(prompt[: (place + 1) * SIZE])
            blocks.computed(prompt, own)
            running.append((prompt, own))
        if ends and running:
            blocks.give_back(running.pop(0)[1])
    for _, own in running:
        blocks.give_back(own)
    assert blocks.take([2], COUNT * SIZE) is not None
