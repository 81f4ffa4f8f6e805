import pytest

from transferkit.errors import DataError, UsageError
from transferkit.evaluation.labels import join_labels, joinable, joined

MODEL = ["daisy", "rose", "tulip"]


def test_classes_are_joined_by_name_and_not_by_position():
    assert join_labels(["tulip", "daisy", "rose"], MODEL, {}) == {"tulip": 2, "daisy": 0, "rose": 1}


def test_a_rename_joins_a_class_of_another_name():
    joined = join_labels(["daisy", "Rosa", "tulip"], MODEL, {"Rosa": "rose"})
    assert joined == {"daisy": 0, "Rosa": 1, "tulip": 2}


def test_two_classes_of_the_data_may_go_to_one_of_the_model():
    joined = join_labels(["rose", "Rosa"], ["rose"], {"Rosa": "rose"})
    assert joined == {"rose": 0, "Rosa": 0}


def test_renamed_extra_and_missing_classes_are_all_named():
    with pytest.raises(DataError) as caught:
        join_labels(["TULIPS", "daisy", "zebra"], MODEL, {})
    assert str(caught.value).splitlines() == [
        "the classes of the data are not those of the model.",
        "In the data, but unknown to the model:",
        "  'TULIPS' (did you mean 'tulip'?)",
        "  'zebra'",
        "Known to the model, but not in the data:",
        "  'rose'",
        "  'tulip'",
        "For a class with another name, say --map TULIPS=tulip (name in the data = the model's "
        "name). Leave classes that the model never learned out of the data.",
        "To evaluate on a part of the classes, say --allow-missing.",
    ]


def test_a_missing_class_alone_is_an_error_until_it_is_allowed():
    with pytest.raises(DataError, match="'rose'\nTo evaluate on a part .* --allow-missing"):
        join_labels(["daisy", "tulip"], MODEL, {})
    assert join_labels(["daisy", "tulip"], MODEL, {}, allow_missing=True) == {
        "daisy": 0,
        "tulip": 2,
    }


def test_an_extra_class_is_an_error_even_where_missing_ones_are_allowed():
    with pytest.raises(DataError, match="'zebra'"):
        join_labels(["daisy", "zebra"], MODEL, {}, allow_missing=True)


def test_the_remedy_can_be_pasted_into_a_shell():
    with pytest.raises(DataError, match="--map 'wild rose=rose' "):
        join_labels(["daisy", "wild rose", "tulip"], MODEL, {})


def test_a_rename_of_unknown_classes_is_a_wrong_call():
    with pytest.raises(UsageError) as caught:
        join_labels(MODEL, MODEL, {"rosa": "tulips"})
    assert str(caught.value).splitlines() == [
        "--map takes OLD=NEW, the class in the data and the model's name for it:",
        "  'rosa' is no class of the data (did you mean 'rose'?)",
        "  'tulips' is no class of the model (did you mean 'tulip'?)",
    ]


def test_a_thousand_foreign_classes_do_not_hide_the_remedy():
    with pytest.raises(DataError) as caught:
        join_labels([f"n{i:08d}" for i in range(1000)], MODEL, {}, allow_missing=True)
    assert "  and 970 more" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    "names", [["a", "b"], ["a|b", "c"], ["a\\", "b"], ["\\|", "|", ""], ["one"]], ids=repr
)
def test_names_that_were_joined_come_apart_again(names: list[str]):
    assert joined("|".join(map(joinable, names))) == names
