"""Problems: collected, raised together, and abridged in the text of an exception."""

import pickle

import pytest

from jinbench.core.errors import IN_EXCEPTION, DataError, ErrorList, Problem, ServerError, fail


def problem(i: int = 0, code: str = "unknown-id") -> Problem:
    return Problem(code, location=f"a.jsonl:{i}", expected="x", found="y", fix="z")


def test_an_error_list_collects_and_raises_all_problems() -> None:
    problems = ErrorList()
    problems.raise_if_any()
    problems.add("unknown-id", "a.jsonl:0", expected="x", found="y", fix="z")
    problems.extend([problem(1), problem(2)])
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == (problem(0), problem(1), problem(2))


def test_fail_raises_one_problem() -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:0: unknown-id") as caught:
        fail("unknown-id", "a.jsonl:0", expected="x", found="y", fix="z")
    assert caught.value.problems == (problem(),)


def test_an_unregistered_code_is_refused() -> None:
    with pytest.raises(KeyError, match="no-such-code"):
        problem(code="no-such-code")


def test_the_text_of_many_problems_is_abridged_by_code() -> None:
    error = DataError([*map(problem, range(5000)), problem(0, "duplicate-id")])
    text = str(error)
    assert len(error.problems) == 5001
    assert text.count(": unknown-id\n") == IN_EXCEPTION
    assert f"unknown-id, {5000 - IN_EXCEPTION:,} more" in text
    assert text.endswith(str(problem(0, "duplicate-id")))


def test_a_server_error_keeps_its_problems() -> None:
    assert (str(ServerError("not there")), ServerError("not there").problems) == ("not there", ())
    error = ServerError(problem(code="token-refused"))
    assert error.problems == (problem(code="token-refused"),)
    assert str(error) == str(problem(code="token-refused"))


def test_errors_survive_a_pickle() -> None:
    for error in (DataError([problem(1), problem(2)]), ServerError(problem()), ServerError("not there")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.problems) == (type(error), str(error), error.problems)
