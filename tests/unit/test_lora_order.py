"""The sequence of batches: every image as often as any other, the same for every process."""

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.finetuning.buckets import Bucket, bucket_of
from training.lora.order import Order, draw, validation_noise


def buckets(*counts: int) -> dict[Bucket, list[int]]:
    """So many images in each of some buckets."""
    found, first = {}, 0
    for number, count in enumerate(counts):
        found[Bucket(64 + 16 * number, 64)] = list(range(first, first + count))
        first += count
    return found


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    size=st.integers(1, 9),
    seed=st.integers(0, 5),
)
def test_every_image_comes_as_often_as_any_other(counts: list[int], size: int, seed: int) -> None:
    order = Order(buckets(*counts), size, seed)
    batches = sum(-(-6 * count // size) for count in counts)
    seen = Counter(place for number in range(batches) for place in order.batch(number)[1])
    assert set(seen) == set(range(sum(counts)))
    for places in buckets(*counts).values():
        assert {seen[place] for place in places} <= set(range(6, 7 + -(-size // len(places))))


@given(number=st.integers(0, 200), size=st.integers(1, 5))
def test_a_batch_follows_from_its_number_alone(number: int, size: int) -> None:
    first = Order(buckets(7, 1, 12), size, 3)
    for before in range(0, number, 7):
        first.batch(before)
    assert first.batch(number) == Order(buckets(7, 1, 12), size, 3).batch(number)


def test_a_batch_is_of_one_bucket_and_a_bucket_with_one_image_works() -> None:
    given_ = buckets(5, 1)
    order = Order(given_, 4, 0)
    for number in range(20):
        bucket, places = order.batch(number)
        assert len(places) == 4
        assert set(places) <= set(given_[bucket])


def test_noise_follows_from_the_place_of_an_image_in_its_batch() -> None:
    one = draw(0, 3, 5, (16, 4, 4), dropout=0.5, flip=True)
    same = draw(0, 3, 5, (16, 4, 4), dropout=0.5, flip=True)
    assert torch.equal(one.noise, same.noise)
    assert (one.normal, one.uniform, one.dropped) == (same.normal, same.uniform, same.dropped)
    others = [draw(0, 3, 6, (16, 4, 4), dropout=0, flip=False)]
    others += [draw(0, 4, 5, (16, 4, 4), dropout=0, flip=False)]
    others += [draw(1, 3, 5, (16, 4, 4), dropout=0, flip=False)]
    assert not any(torch.equal(one.noise, other.noise) for other in others)
    assert not torch.equal(one.noise, one.sample)


def test_captions_are_dropped_as_often_as_asked() -> None:
    drops = [draw(0, 1, item, (1, 2, 2), dropout=0.25, flip=False).dropped for item in range(2_000)]
    assert 0.2 < sum(drops) / len(drops) < 0.3
    assert not any(draw(0, 2, item, (1, 2, 2), dropout=0, flip=False).dropped for item in range(99))


def test_validation_noise_belongs_to_the_image() -> None:
    noise = validation_noise("ab" * 32, (16, 4, 4))
    assert torch.equal(noise, validation_noise("ab" * 32, (16, 4, 4)))
    assert not torch.equal(noise, validation_noise("ac" * 32, (16, 4, 4)))


@given(width=st.integers(16, 3_000), height=st.integers(16, 3_000))
def test_no_image_is_enlarged(width: int, height: int) -> None:
    bucket = bucket_of(width, height, (128, 256, 512))
    assert bucket.width % 16 == bucket.height % 16 == 0
    assert bucket.width <= width
    assert bucket.height <= height
    assert bucket.width * bucket.height <= 512 * 512


def test_an_image_goes_to_the_largest_resolution_that_it_carries() -> None:
    sides = (128, 256, 512)
    assert str(bucket_of(600, 450, sides)) == "576x448"
    assert str(bucket_of(224, 224, sides)) == "128x128"
    assert str(bucket_of(256, 256, sides)) == "256x256"
    assert str(bucket_of(2_000, 2_000, sides)) == "512x512"
    assert str(bucket_of(100, 100, sides)) == "96x96"
    wide = bucket_of(1_024, 768, sides)
    assert wide.width > wide.height
    assert wide.width * wide.height <= 512 * 512
