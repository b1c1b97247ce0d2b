"""Components: strict, frozen, named by their files, found in their folders, hashed by their fields."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from farback import cells, encoders, inits, measures, optimizers, schedules, tasks
from farback.optimizers.rmsprop import RMSprop
from farback.records.component import Family
from farback.records.record import Record, Since
from farback.records.user_error import choices
from farback.trials.trial import Trial
from named_alone import named_alone

FAMILIES = [cells, encoders, inits, measures, optimizers, schedules, tasks]
EVERY = [(family, name) for family in FAMILIES for name in named_alone(family)]


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A family on disk: `shapes/base.py`, and one plug-in, `shapes/square.py`."""
    folder = tmp_path / "shapes"
    folder.mkdir()
    write(folder / "__init__.py", "from shapes.base import FAMILY\nbuild, names = FAMILY.build, FAMILY.names\n")
    write(
        folder / "base.py",
        """
        from abc import abstractmethod
        from farback.records.component import Component, Family
        class Shape(Component):
            @abstractmethod
            def area(self) -> float: ...
        FAMILY = Family("shapes", Shape, "shape")
        """,
    )
    plug_in(folder / "square.py", "Square", "side: float = 1.0", "self.side ** 2")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for module in [name for name in sys.modules if name.partition(".")[0] == "shapes"]:
        del sys.modules[module]


def write(path: Path, text: str) -> None:
    path.write_text(textwrap.dedent(text))


def plug_in(path: Path, kind: str, field: str, area: str, version: str = "") -> None:
    write(
        path,
        f"""
        from typing import ClassVar
        from shapes.base import Shape
        class {kind}(Shape):
            {version or "pass"}
            {field}
            def area(self) -> float:
                return {area}
        """,
    )


def family_of(folder: Path) -> Family[Any]:
    import shapes

    return shapes.FAMILY


# What is in a family ---------------------------------------------------------------------------------------------


def test_a_new_file_is_a_plug_in_without_any_registration(shapes: Path) -> None:
    family = family_of(shapes)
    assert family.names() == ["square"]
    plug_in(shapes / "disc.py", "Disc", "radius: float = 1.0", "3.0 * self.radius ** 2")
    assert family.names() == ["disc", "square"]
    assert [kind.__name__ for kind in family.members()] == ["Disc", "Square"]
    assert family.build({"name": "disc", "radius": 2.0}).area() == 12.0


def test_a_field_of_the_base_type_accepts_every_plug_in_of_the_family(shapes: Path) -> None:
    plug_in(shapes / "disc.py", "Disc", "radius: float = 1.0", "3.0 * self.radius ** 2")
    family = family_of(shapes)
    base = family.base

    class Drawing(Record):
        shape: base

    Drawing.model_rebuild(_types_namespace={"base": base})
    assert Drawing.model_validate({"shape": "disc"}).shape == family.build("disc")
    assert Drawing.model_validate({"shape": {"name": "square", "side": 3.0}}).shape.area() == 9.0
    assert Drawing(shape=family.build("square")).shape.area() == 1.0
    with pytest.raises(ValidationError, match=r"disc.*square"):
        Drawing.model_validate({"shape": "disk"})


def test_a_package_in_the_folder_is_not_a_component(shapes: Path) -> None:
    (shapes / "support").mkdir()
    write(shapes / "support" / "__init__.py", "RED = 1\n")
    assert family_of(shapes).names() == ["square"]


def test_a_file_without_a_plug_in_is_named_in_the_error(shapes: Path) -> None:
    write(shapes / "empty.py", "from shapes.base import Shape\n")
    with pytest.raises(ValueError, match=r"empty\.py.*Shape"):
        family_of(shapes).build("empty")


def test_an_abstract_class_in_a_file_is_not_its_plug_in(shapes: Path) -> None:
    plug_in(shapes / "disc.py", "Disc", "radius: float = 1.0", "3.0")
    with (shapes / "disc.py").open("a") as file:
        file.write("class Unfinished(Shape):\n    pass\n")
    assert family_of(shapes).plugin("disc").__name__ == "Disc"


def test_listing_names_imports_no_plug_in(shapes: Path) -> None:
    write(shapes / "broken.py", "raise RuntimeError('imported')\n")
    assert family_of(shapes).names() == ["broken", "square"]


# Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "name"), EVERY, ids=[name for _, name in EVERY])
def test_a_component_has_the_name_of_its_file(family: Any, name: str) -> None:
    component = family.build(name)
    assert component.name == name
    assert type(component).__module__ == f"{family.__name__}.{name}"


@pytest.mark.parametrize(("family", "name"), EVERY, ids=[name for _, name in EVERY])
def test_a_component_accepts_only_its_own_name(family: Any, name: str) -> None:
    with pytest.raises(ValidationError):
        family.FAMILY.plugin(name)(name="another")


def test_a_typing_error_lists_the_choices_nearest_first() -> None:
    with pytest.raises(
        ValueError, match=r"unknown task 'recal'; did you mean 'recall'\? choose from recall, adding, assoc"
    ):
        tasks.build("recal")
    with pytest.raises(ValueError, match=r"unknown cell 'gruu'; did you mean 'gru'"):
        cells.build({"name": "gruu"})


def test_every_choice_is_listed_once_even_when_none_is_near() -> None:
    assert choices("zzz", ["b", "a", "c"]) == "choose from b, a, c"
    assert choices("lstn", ["gru", "lstm"]) == "did you mean 'lstm'? choose from lstm, gru"


def test_a_spec_without_a_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r"a cell needs a name; choose from antisymmetric, .*elman, .*gru"):
        cells.build({"nonlinearity": "relu"})


# Strictness ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "recall", "symbols": True},
        {"name": "recall", "symbols": "3"},
        {"name": "recall", "symbols": 3.0},
        {"name": "recall", "symbols": None},
        {"name": "recall", "lag": False},
        {"name": "adding", "tolerance": "0.04"},
        {"name": "adding", "tolerance": True},
        {"name": "adding", "tolerance": float("nan")},
        {"name": "adding", "tolerance": float("inf")},
        {"name": "recall", "symbol": 3},
        {"name": "recall", "filler": "Noise"},
        {"name": "recall", "symbols": 1},
    ],
    ids=str,
)
def test_types_are_not_converted_and_unknown_keys_are_errors(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        tasks.build(spec)


@pytest.mark.parametrize(
    "field",
    [
        {"hidden": True},
        {"hidden": "3"},
        {"hidden": 3.0},
        {"bias": 1},
        {"bias": "yes"},
        {"clip": "1"},
        {"clip": True},
        {"seed": -1},
        {"steps": 1000.0},
        {"lags": 3},
        {"depth": 0},
        {"optimizer": {"name": "adam", "lr": "1e-3"}},
        {"measures": "retention"},
    ],
    ids=str,
)
def test_a_trial_is_as_strict(field: dict[str, Any]) -> None:
    good = {"task": "recall", "lag": 3, "cell": "gru"}
    Trial.model_validate(good)
    with pytest.raises(ValidationError):
        Trial.model_validate({**good, **field})


def test_an_integer_is_accepted_as_a_real_number_and_has_the_same_digest() -> None:
    whole, real = tasks.build({"name": "adding"}), RMSprop(lr=1)
    assert whole.digest() == tasks.build({"name": "adding", "tolerance": 0.04}).digest()
    assert real.digest() == RMSprop(lr=1.0).digest()


def test_a_record_cannot_be_changed() -> None:
    task = tasks.build("recall")
    with pytest.raises(ValidationError, match="frozen"):
        task.lag = 3


def test_an_unknown_key_is_named_in_the_error() -> None:
    with pytest.raises(ValidationError, match="symbolz"):
        tasks.build({"name": "recall", "symbolz": 3})


# Identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "name"), EVERY, ids=[name for _, name in EVERY])
def test_a_component_written_out_builds_an_equal_one(family: Any, name: str) -> None:
    component = family.build(name)
    again = family.build(component.spec())
    assert again == component
    assert again.digest() == component.digest()
    assert family.build(component) is component


@pytest.mark.parametrize(("family", "name"), EVERY, ids=[name for _, name in EVERY])
def test_the_digest_changes_with_the_version(family: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    component = family.build(name)
    before = component.digest()
    monkeypatch.setattr(type(component), "version", component.version + 1)
    assert component.digest() != before
    monkeypatch.setattr(type(component), "version", component.version - 1)
    assert component.digest() == before


def test_digests_of_all_components_differ() -> None:
    found = [family.build(name).digest() for family, name in EVERY]
    assert len(set(found)) == len(found)


def test_the_digest_does_not_depend_on_the_order_of_the_keys() -> None:
    one = tasks.build({"name": "recall", "symbols": 8, "lag": 3})
    other = tasks.build({"lag": 3, "symbols": 8, "name": "recall"})
    assert one.digest() == other.digest()


class Early(Record):
    width: int = 3


class Late(Record):
    width: int = 3
    colour: Annotated[str, Since("0.2")] = "red"


def test_a_field_added_later_is_not_in_the_digest_at_its_default() -> None:
    assert Late().digest() == Early().digest()
    assert Late(colour="red").digest() == Early().digest()
    assert Late(colour="blue").digest() != Early().digest()
    assert Late(width=4).digest() == Early(width=4).digest()


def test_an_original_field_is_in_the_digest_at_its_default() -> None:
    assert Early().digested() == {"width": 3}
    assert Early(width=4).digest() != Early().digest()


def test_a_label_contains_the_fields_that_differ_from_their_default() -> None:
    assert tasks.build("recall").label() == "recall"
    assert tasks.build({"name": "recall", "symbols": 8, "length": 50}).label() == "recall (symbols 8, length 50)"
    assert inits.build({"name": "orthogonal", "gain": 1.5}).label() == "orthogonal (gain 1.5)"
