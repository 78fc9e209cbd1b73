"""Roles: who may make, stop, delete and export, and whose jobs are whose."""

import pytest

from backend.accounts import AccountError, create_account, set_disabled
from backend.permissions import Deed, authorise, deeds_in
from backend.store.database import Database
from backend.store.tables import Role

SECRET = "four green apples fall"


@pytest.fixture
def people(any_database: Database) -> Database:
    """A database that knows ada (admin), rob (researcher) and eva (reviewer)."""
    for name, role in (("ada", Role.ADMIN), ("rob", Role.RESEARCHER), ("eva", Role.REVIEWER)):
        create_account(any_database, name, SECRET, role)
    return any_database


@pytest.mark.parametrize("deed", Deed)
def test_a_reviewer_looks_and_reviews_and_the_others_act(people: Database, deed: Deed) -> None:
    authorise(people, "ada", deed)
    if deed is not Deed.KEEP_MODELS:
        authorise(people, "rob", deed)
    if deed is Deed.REVIEW:
        authorise(people, "eva", deed)
        return
    with pytest.raises(AccountError, match=f"A reviewer may not {deed}"):
        authorise(people, "eva", deed)


def test_the_deeds_in_an_account_are_those_that_it_is_authorised_for(people: Database) -> None:
    set_disabled(people, "rob", disabled=True)
    with people.session() as session:
        assert deeds_in(session, "ada") == frozenset(Deed)
        assert deeds_in(session, "eva") == {Deed.REVIEW}
        assert deeds_in(session, None) == frozenset(Deed)
        assert deeds_in(session, "rob") == deeds_in(session, "nobody") == frozenset()


def test_only_an_admin_keeps_models(people: Database) -> None:
    with pytest.raises(AccountError, match="may not download, add or remove models: ask an admin"):
        authorise(people, "rob", Deed.KEEP_MODELS)


def test_only_an_admin_lays_hands_on_the_jobs_of_others(people: Database) -> None:
    authorise(people, "rob", Deed.RUN_JOBS, owner="rob")
    authorise(people, "rob", Deed.RUN_JOBS, owner=None)
    authorise(people, "ada", Deed.RUN_JOBS, owner="rob")
    with pytest.raises(AccountError, match="belongs to ada"):
        authorise(people, "rob", Deed.RUN_JOBS, owner="ada")


def test_a_closed_or_unknown_account_may_nothing(people: Database) -> None:
    set_disabled(people, "rob", disabled=True)
    for name in ("rob", "nobody"):
        with pytest.raises(AccountError, match="closed"):
            authorise(people, name, Deed.MAKE)


def test_where_nobody_signs_in_everything_is_allowed(people: Database) -> None:
    for deed in Deed:
        authorise(people, None, deed, owner="ada")
