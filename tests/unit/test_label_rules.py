"""A rule is edited by diagnosis, written and read back; what cannot be used is one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.corpus.errors import CorpusError
from backend.corpus.labels import LabelRule, own_label, rule_on, stored_rule
from backend.corpus.record import Source
from backend.corpus.rule_editing import (
    Choice,
    change_words,
    choice_of,
    choice_words,
    read_rule,
    rule_changes,
    rule_text,
    with_choice,
    with_choices,
)
from backend.corpus.sources import SOURCES

RULE = LabelRule(malignant=("melanoma",), benign=("nevus", "lentigo"), dropped=("other",))
DIAGNOSES = ("melanoma", "nevus", "lentigo", "other", "something_rare", "")
rules = st.builds(
    lambda choices, by_target: _rule(dict(zip(DIAGNOSES, choices, strict=True)), by_target),
    st.tuples(*(st.sampled_from(Choice) for _ in DIAGNOSES)),
    st.booleans(),
)


def _rule(choices: dict[str, Choice], by_target: bool) -> LabelRule:
    rule = LabelRule(by_target=by_target)
    for diagnosis, choice in choices.items():
        rule = with_choice(rule, diagnosis, choice)
    return rule


@given(rules, st.sampled_from(DIAGNOSES), st.sampled_from(Choice))
def test_a_choice_says_one_thing_and_taking_it_back_is_the_same_rule(
    rule: LabelRule, diagnosis: str, choice: Choice
) -> None:
    before = choice_of(rule, diagnosis)
    changed = with_choice(rule, diagnosis, choice)
    assert choice_of(changed, diagnosis) is choice
    assert [choice_of(changed, one) for one in DIAGNOSES if one != diagnosis] == [
        choice_of(rule, one) for one in DIAGNOSES if one != diagnosis
    ]
    assert (changed.version == rule.version) == (choice is before)
    assert with_choice(changed, diagnosis, before).version == rule.version


@given(rules)
def test_a_rule_that_is_kept_says_the_same(rule: LabelRule) -> None:
    kept = stored_rule(rule.canonical)
    assert kept.version == rule.version
    assert rule_changes(rule, kept) == []


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.key)
def test_the_rule_of_every_record_can_be_written_to_a_file_and_read_back(source: Source) -> None:
    assert read_rule(rule_text(source.rule), "rule.json").version == source.rule.version


def test_codes_and_phrases_in_a_file_become_diagnoses() -> None:
    rule = read_rule('{"malignant": ["MEL", "Bowen disease"], "benign": ["nv", "none"]}', "r.json")
    assert rule.malignant == ("melanoma", "squamous_cell_carcinoma")
    assert rule.benign == ("nevus", "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The rule r.json is no JSON"),
        ('{"benign": ["nevus"', "The rule r.json is no JSON"),
        ("\ufeff\x00", "The rule r.json is no JSON"),
        ("[]", "cannot be used: whole: "),
        ('{"benign": "nevus"}', "cannot be used: benign: "),
        ('{"benign": [1]}', r"cannot be used: benign\.0: "),
        ('{"gutartig": ["nevus"]}', "cannot be used: gutartig: "),
        ('{"by_target": "yes"}', "cannot be used: by_target: "),
        ("{}", "This rule is empty"),
        ('{"dropped": ["nevus"]}', "This rule is empty"),
        ('{"benign": ["nv"], "dropped": ["nevus"]}', "has nevus in two lists"),
    ],
)
def test_a_broken_file_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(CorpusError, match=sentence) as caught:
        read_rule(text, "r.json")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        read_rule(data, "r.json")
    except CorpusError as error:
        assert "r.json" in str(error) or "This rule is empty" in str(error)


def test_choices_are_given_as_people_write_them() -> None:
    rule = with_choices(RULE, {"NV": "malignant", "Something Rare": "benign", "none": "dropped"})
    assert change_words(RULE, rule) == (
        "no diagnosis: unlisted to dropped, nevus: benign to malignant, "
        "something rare: unlisted to benign"
    )
    with pytest.raises(CorpusError, match="'bad' is no label for nevus: use one of benign, mal"):
        with_choices(RULE, {"nevus": "bad"})


def test_what_is_not_listed_is_said_as_the_rule_takes_it() -> None:
    assert choice_words(Choice.UNLISTED, by_target=True) == "As the dataset says"
    assert choice_words(Choice.UNLISTED, by_target=False) == "Not listed (dropped)"
    assert change_words(LabelRule(), LabelRule(by_target=True)) == (
        "what is not listed: as the dataset says"
    )


def test_the_dataset_s_own_label_rules_as_it_was_given() -> None:
    rule = LabelRule(by_target=True)
    for target in ("1", "TRUE", "Malignant", "0.0", "Indeterminate", ""):
        assert rule_on(rule, "", target) == rule_on(rule, "", own_label(target))
    assert rule_on(LabelRule(dropped=("",)), "", "1").why == (
        "no diagnosis is dropped by the rule of this dataset"
    )
