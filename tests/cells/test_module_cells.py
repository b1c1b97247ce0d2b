"""Cells that are classes of the user's: how they are imported, called, drawn, keyed, and refused."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from farback import cells, inits, measures, tasks
from farback.cells.module import ModuleCell, one_by_one, together
from farback.cells.support.made_module import seeded
from farback.executors.serial import Serial
from farback.networks.architecture import Architecture
from farback.networks.module_laws import laws
from farback.networks.network import Network, draw
from farback.records.own_files import use_project
from farback.training.loop import fingerprint, train
from farback.trials.cohort import Cohort
from farback.trials.events import Checkpoint, Finished
from farback.trials.trial import Trial

TORCH = inits.build("torch")
MINE = '''
import torch
from torch import nn
from sizes import three


class Decay(nn.Module):
    """A GRU with a decay term."""

    def __init__(self, inputs, hidden, decay=0.9):
        super().__init__()
        self.inward, self.back = nn.Linear(inputs, three(hidden)), nn.Linear(hidden, three(hidden))
        self.decay = nn.Parameter(torch.full((hidden,), decay))

    def forward(self, x, h=None):
        if h is None:
            h = torch.zeros(len(x), len(self.decay))
        outputs = []
        for step in self.inward(x).unbind(1):
            x_r, x_z, x_n = step.chunk(3, -1)
            h_r, h_z, h_n = self.back(h).chunk(3, -1)
            z = torch.sigmoid(x_z + h_z)
            h = (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + self.decay * z * h
            outputs.append(h)
        return torch.stack(outputs, 1), h


class MinGRU(nn.Module):
    """A step that needs a state."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.f = nn.Linear(input_size, 2 * hidden_size)

    def forward(self, x, h):
        z, c = self.f(x).chunk(2, -1)
        z = torch.sigmoid(z)
        return (1 - z) * h + z * torch.where(c >= 0, c + 0.5, torch.sigmoid(c))


class OneWidth(nn.Module):
    def __init__(self, dim, expansion=2):
        super().__init__()
        self.rnn, self.back = nn.RNN(dim, expansion * dim, batch_first=True), nn.Linear(expansion * dim, dim)

    def forward(self, x, h=None):
        out, h = self.rnn(x, h)
        return x + self.back(out), h


class Double(nn.GRU):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden, batch_first=True, dtype=torch.float64)


class ReturnsDict(nn.GRU):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden, batch_first=True)

    def forward(self, x, h=None):
        out, h = super().forward(x, h)
        return {"state": h, "output": out}


class UnknownDict(ReturnsDict):
    def forward(self, x, h=None):
        return {"a": x, "b": super().forward(x, h)["state"]}


class DictOfTwo(nn.LSTM):
    """The state is what remains of the dict."""

    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden, batch_first=True)

    def forward(self, x, state=None):
        out, (h, c) = super().forward(x, None if state is None else (state["h"], state["c"]))
        return {"output": out, "h": h, "c": c}


class DictOfStep(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.cell = nn.GRUCell(inputs, hidden)

    def forward(self, x, h=None):
        h = self.cell(x, h)
        return {"output": h.sin(), "state": h}


class StepsForSequences(nn.Module):
    """torch.nn.GRU without batch_first, in a module that does not say so."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden)

    def forward(self, x, h=None):
        return self.gru(x)


class Undefined(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.decay.data.fill_(float("nan"))


class OneForAll(Decay):
    common = nn.Linear(5, 5)

    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.readout = OneForAll.common

    def forward(self, x, h=None):
        out, h = super().forward(x, h)
        return self.readout(out), h


class InAList(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.layers = [nn.Linear(hidden, hidden)]

    def forward(self, x, h=None):
        out, h = super().forward(x, h)
        return self.layers[0](out), h


class NoBuffer(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.kept = torch.rand(hidden) < 0.5

    def forward(self, x, h=None):
        out, h = super().forward(x, h)
        return out * self.kept, h


class FailsLater(Decay):
    """It raises an error on sequences that are longer than those that it is tried on first."""

    def forward(self, x, h=None):
        if x.shape[1] > 5:
            raise ValueError("too long")
        return super().forward(x, h)


class SeesAhead(Decay):
    def forward(self, x, h=None):
        return super().forward(x + x.flip(1), h)


class Mixes(Decay):
    def forward(self, x, h=None):
        return super().forward(x - x.mean(0, keepdim=True), h)


class Norm(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.norm = nn.BatchNorm1d(inputs)

    def forward(self, x, h=None):
        return super().forward(self.norm(x.transpose(1, 2)).transpose(1, 2), h)


class Unread(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.unread = nn.Parameter(torch.ones(hidden))


class Forgets(Decay):
    def forward(self, x, h=None):
        return super().forward(x)


class Counts(Decay):
    calls = 0

    def forward(self, x, h=None):
        self.calls += 1
        return super().forward(x + self.calls, h)


class OwnNoise(Decay):
    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden)
        self.generator = torch.Generator()

    def forward(self, x, h=None):
        return super().forward(x + self.training * torch.randn(x.shape, generator=self.generator), h)


class Bug(Decay):
    def forward(self, x, h=None):
        return super().forward(x @ torch.ones(3, 2), h)


class Narrow(Decay):
    def forward(self, x, h=None):
        out, h = super().forward(x, h)
        return out[..., 1:], h


class OutputAndState(nn.Module):
    """A step that returns an output and a state."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(inputs, hidden), nn.Linear(hidden, hidden)

    def forward(self, x, state=None):
        state = self.cell(x, state)
        return self.out(state[0]), state


class OnlyOutputs(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0]


class Reservoir(nn.Module):
    """A random matrix that is not trained, as a buffer."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.register_buffer("w", torch.randn(hidden, hidden) * hidden**-0.5)
        self.inward = nn.Linear(inputs, hidden).requires_grad_(False)
        self.gain = nn.Parameter(torch.ones(hidden))

    def forward(self, x, h=None):
        h = x.new_zeros(len(x), len(self.w)) if h is None else h
        return torch.tanh(self.gain * (self.inward(x) + h @ self.w.T))


class Rotates(nn.Module):
    """Complex parameters and a complex state."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.a = nn.Parameter(torch.polar(torch.full((hidden,), 0.9), torch.linspace(0, 1, hidden)))
        self.inward, self.out = nn.Linear(inputs, hidden), nn.Linear(2 * hidden, hidden)

    def forward(self, x, h=None):
        h = torch.zeros(len(x), len(self.a), dtype=self.a.dtype) if h is None else h
        outputs = []
        for b in self.inward(x).unbind(1):
            h = self.a * h + b
            outputs.append(torch.cat([h.real, h.imag], -1))
        return self.out(torch.stack(outputs, 1)), h


def seven(inputs, hidden):
    return 7
'''
GOOD = ["Decay", "OneWidth", "MinGRU", "Double", "OutputAndState", "Reservoir", "Rotates"]
GOOD += ["ReturnsDict", "DictOfTwo", "DictOfStep"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with mine.py and a file that it imports, in use."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "sizes.py").write_text("def three(hidden):\n    return 3 * hidden\n")
    monkeypatch.setenv("FARBACK_PROJECT", "")  # restored afterwards
    use_project(tmp_path)
    return tmp_path


def mine(name: str, **options: Any) -> ModuleCell:
    cell = cells.build({"name": "module", "class": f"mine:{name}", "with": options})
    assert isinstance(cell, ModuleCell)
    return cell


def broken(cell: ModuleCell) -> list[str]:
    return [law.name for law in laws(cell, 3, 5) if not law.holds]


# Called as torch calls it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "options", "native", "renamed"),
    [
        ("GRU", {}, "gru", "_l0"),
        ("LSTM", {"batch_first": True}, "lstm", "_l0"),
        ("GRUCell", {}, "gru", ""),
        ("LSTMCell", {}, "lstm", ""),
        ("RNN", {"nonlinearity": "relu"}, {"name": "elman", "nonlinearity": "relu"}, "_l0"),
    ],
)
def test_a_module_of_torch_equals_the_native_cell(path: str, options: Any, native: Any, renamed: str) -> None:
    """With the same weights: outputs in two layers and two directions, and gradients of the weights."""
    cell = cells.build({"name": "module", "class": f"torch.nn:{path}", "with": options})
    own = Architecture(cell, 3, 5, 2, depth=2, bidirectional=True)
    other = Architecture(cells.build(native), 3, 5, 2, depth=2, bidirectional=True)
    network = draw(own, [TORCH] * 2, [0, 1], 4, torch.float64)
    parameters = {name: value.requires_grad_() for name, value in network.parameters.items()}
    same = {name.replace(f"{renamed}_l", "_l") if renamed else name: value for name, value in parameters.items()}
    x = torch.randn(2, 6, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, expected = Network(own, parameters).run(x)[0], Network(other, same).run(x)[0]
    assert_close(found, expected, rtol=1e-9, atol=1e-12)
    over = [value for name, value in parameters.items() if not name.startswith("readout")]
    assert_close(torch.autograd.grad(found.sum(), over), torch.autograd.grad(expected.sum(), over))


@pytest.mark.parametrize("name", GOOD)
def test_modules_of_many_kinds_keep_every_law(project: Path, name: str) -> None:
    assert broken(mine(name)) == []
    mine(name).check(5, 3)


def test_a_class_with_one_width_gets_its_inputs_through_a_linear_layer(project: Path) -> None:
    """The width is the number of hidden units, and the class's other arguments keep their defaults."""
    module = mine("OneWidth").module(3, 5)
    x, t = torch.randn(2, 6, 3), module.tensors
    assert (t["input_layer.weight"].shape, t["rnn.weight_ih_l0"].shape) == ((5, 3), (10, 5))
    wide = torch.nn.functional.linear(x, t["input_layer.weight"], t["input_layer.bias"])
    rnn = nn.RNN(5, 10, batch_first=True)
    rnn.load_state_dict({name.removeprefix("rnn."): value for name, value in t.items() if name.startswith("rnn.")})
    expected = wide + torch.nn.functional.linear(rnn(wide)[0], t["back.weight"], t["back.bias"])
    assert_close(module.run(t, x, None)[0], expected)
    assert "behind a linear layer from the inputs to its dim" in laws(mine("OneWidth"), 3, 5)[0].found


@pytest.mark.parametrize("name", ["Decay", "MinGRU", "Rotates"])
def test_replicas_together_equal_replicas_one_by_one(project: Path, name: str) -> None:
    """Up to rounding: `together` is used on other devices than a CPU."""
    cell = mine(name)
    module = cell.module(3, 5)
    network = draw(Architecture(cell, 3, 5, 0), [TORCH] * 3, range(3), 4)
    p = {key.removesuffix("_l0"): value for key, value in network.parameters.items()}
    x = torch.randn(3, 4, 6, 3, generator=torch.Generator().manual_seed(0))
    first = one_by_one(module, p, x, None, None)
    found = together(module, p, x, None, None)
    assert found is not None
    assert_close(found, first, rtol=1e-5, atol=1e-6)
    assert_close(together(module, p, x, first[1], None), one_by_one(module, p, x, first[1], None), rtol=1e-5, atol=1e-6)


def test_an_operator_without_a_batching_rule_is_found() -> None:
    cell = cells.build({"name": "module", "class": "torch.nn:GRU"})
    assert isinstance(cell, ModuleCell)
    network = draw(Architecture(cell, 3, 5, 0), [TORCH] * 2, range(2), 4)
    p = {key[:-3]: value for key, value in network.parameters.items()}
    assert together(cell.module(3, 5), p, torch.zeros(2, 4, 6, 3), None, None) is None


# Refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "UnknownDict",
            "returns a dict with the keys a, b, and must return .* or a dict with its outputs as output or",
        ),
        ("StepsForSequences", r"inputs of one step, \(B, I\), and the outputs of one sequence changed when another"),
        ("Undefined", "gives outputs that are infinite or not a number"),
        ("OneForAll", r"has one readout\.weight in all its instances"),
        ("InAList", r"uses a parameter of the shape \(5, 5\) that is not registered"),
        ("NoBuffer", "draws something in __init__ that is neither a parameter nor a buffer"),
        ("Mixes", "the outputs of one sequence changed when another sequence changed"),
        ("Norm", r"changes norm\.running_mean when it runs"),
        ("Counts", "gives other outputs when the same inputs are run again"),
        ("OwnNoise", "draws random numbers in training from a generator of its own"),
        ("Bug", r"mat1 and mat2 .* at mine\.py:\d+ \(return super\(\)\.forward\(x @ torch\.ones\(3, 2\), h\)\)"),
        ("Narrow", r"returns outputs of shape \(2, 5, 4\), and must return \(2, 5, 5\)"),
        ("seven", r"seven\(inputs=4, hidden=5\) makes a int, and must make a torch\.nn\.Module"),
    ],
)
def test_a_module_with_wrong_results_is_refused_with_the_reason(project: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mine(name).check(5, 4)
    assert any(law.needed and not law.holds for law in laws(mine(name), 4, 5))


def test_an_argument_that_the_class_does_not_have_is_named(project: Path) -> None:
    with pytest.raises(ValueError, match=r"decy.*its arguments are inputs, hidden, decay"):
        mine("Decay", decy=0.5).check(5, 3)
    with pytest.raises(ValueError, match="with sets hidden, which farback sets"):
        mine("Decay", hidden=3).check(5, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mine.py:Decay", "must be MODULE:CLASS.*did you mean 'mine:Decay'"),
        ("mine.Decay", "did you mean 'mine:Decay'"),
        ("mine:Decoy", r"mine\.py has no 'Decoy'; did you mean 'Decay'"),
        ("yours:Decay", r"there is no file .*yours\.py, and no package 'yours' is installed"),
        ("raises:A", r"the import of raises failed: ZeroDivisionError: .* at raises\.py:2 \(1 / 0\)"),
        ("torch.nn:5", "must be MODULE:CLASS"),
    ],
)
def test_a_class_that_cannot_be_imported_is_refused(project: Path, path: str, message: str) -> None:
    (project / "raises.py").write_text("A = 1\n1 / 0\n")
    with pytest.raises(ValueError, match=message):
        cells.build({"name": "module", "class": path})


def test_warnings_of_a_class_are_reported(project: Path) -> None:
    """Dropout in a single layer of torch.nn.LSTM has no effect."""
    cell = cells.build({"name": "module", "class": "torch.nn:LSTM", "with": {"dropout": 0.5}})
    assert isinstance(cell, ModuleCell)
    (law,) = (law for law in laws(cell, 3, 5) if not law.holds)
    assert not law.needed
    assert "dropout option adds dropout after all but last" in law.found
    cell.check(5, 3)


def test_an_error_at_another_length_is_a_broken_law(project: Path) -> None:
    law = laws(mine("FailsLater"), 3, 5)[0]
    assert not law.holds
    assert re.search(r"ValueError: too long, at mine\.py:\d+ ", law.found)


def test_outputs_that_depend_on_later_inputs_are_named(project: Path) -> None:
    assert "depend on later inputs" in next(law.found for law in laws(mine("SeesAhead"), 3, 5) if not law.holds)


def test_what_only_some_measures_need_is_reported_and_not_refused(project: Path) -> None:
    assert broken(mine("Unread")) == ["gradients reach every parameter"]
    for name in ("Forgets", "OnlyOutputs"):
        cell = mine(name)
        assert broken(cell) == ["a state is carried over a split"]
        cell.check(5, 9)
        recall = tasks.build({"name": "recall", "lag": 3, "symbols": 4})
        network = draw(Architecture(cell, recall.inputs, 5, recall.answer.outputs), [TORCH], [0], 4)
        for measure in ("lyapunov", "jacobian_norms", "fisher_memory"):
            assert measures.build(measure).network_rows(network, recall, 0) == []
        with pytest.raises(ValueError, match=f"mine:{name}"):
            network.run(torch.zeros(1, 3, 2, recall.inputs), network.initial(torch.zeros(1, 3, 2, recall.inputs)))
        with pytest.raises(ValueError, match="initial_state: learned is not possible"):
            Architecture(cell, 3, 5, 2, learned_state=True).check(TORCH)
        with pytest.raises(ValueError, match=f"truncate is not possible: mine:{name}"):
            Trial.model_validate({"task": "recall", "lag": 3, "cell": cell, "truncate": 2})


def test_biases_are_not_left_out_of_a_module() -> None:
    with pytest.raises(ValueError, match=r"bias: false is not possible with torch\.nn:GRU, which"):
        Architecture(cells.build("module"), 3, 5, 2, bias=False).check(TORCH)


# Drawing -----------------------------------------------------------------------------------------------------------


def test_the_class_draws_its_own_parameters_from_the_stream_of_the_trial(project: Path) -> None:
    """Equal seeds give equal weights, other seeds others; constants stay; global generators are untouched."""
    mine("Decay")  # imports the file, whose classes may draw
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index] # noqa: NPY002
    architecture = Architecture(mine("Decay", decay=0.7), 3, 5, 0)
    network = draw(architecture, [TORCH] * 3, [0, 1, 0], 4)
    weight = network.parameters["inward.weight_l0"]
    assert torch.equal(weight[0], weight[2])
    assert not torch.equal(weight[0], weight[1])
    assert weight.abs().max() <= 3**-0.5  # torch.nn.Linear: 1 / sqrt(inputs)
    assert torch.equal(network.parameters["decay_l0"], torch.full((3, 5), 0.7))
    drawn = draw(Architecture(mine("Reservoir"), 3, 5, 0), [TORCH] * 2, [0, 1], 4).parameters["w_l0"]
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index] # noqa: NPY002
    assert random.getstate() == before[2]


def test_an_init_sets_what_it_knows_by_name_and_leaves_the_rest(project: Path) -> None:
    gru = cells.build({"name": "module", "class": "torch.nn:GRUCell"})
    drawn = draw(Architecture(gru, 3, 5, 0), [inits.build("orthogonal")], [0], 4, torch.float64).parameters
    for block in drawn["weight_hh_l0"][0].split(5):
        assert_close(block @ block.T, torch.eye(5, dtype=torch.float64))
    assert not drawn["bias_ih_l0"].any()
    decay = Architecture(mine("Decay"), 3, 5, 0)
    drawn = draw(decay, [inits.build({"name": "uniform", "bound": 0.01})], [0], 4).parameters
    assert drawn["back.weight_l0"].abs().max() <= 0.01
    assert torch.equal(drawn["decay_l0"], torch.full((1, 5), 0.9))


@pytest.mark.parametrize("init", ["orthogonal", "identity", "chrono", "forget_bias"])
def test_an_init_that_finds_nothing_to_set_is_refused_with_the_names(project: Path, init: str) -> None:
    with pytest.raises(ValueError, match=r"decay, inward\.weight, inward\.bias|inward\.weight"):
        Architecture(mine("Decay"), 3, 5, 0).check(inits.build(init))
    two = cells.build({"name": "module", "class": "torch.nn:GRU", "with": {"num_layers": 2}})
    with pytest.raises(ValueError, match="weight_hh_l1"):
        Architecture(two, 3, 5, 0).check(inits.build(init))


# Keys --------------------------------------------------------------------------------------------------------------


def test_an_edited_file_is_another_trial_and_is_imported_again(project: Path, trial_of: Callable[..., Trial]) -> None:
    """Also if another file that it imports is edited; a comment in a file that it does not import changes nothing."""
    first = trial_of(cell=mine("Decay"))
    (project / "other.py").write_text("# not imported\n")
    assert trial_of(cell=mine("Decay")).key == first.key
    (project / "mine.py").write_text(MINE.replace("self.decay * z", "2 * self.decay * z"))
    second = trial_of(cell=mine("Decay"))
    (project / "sizes.py").write_text("def three(hidden):\n    return hidden + 2 * hidden\n")
    assert len({first.key, second.key, trial_of(cell=mine("Decay")).key}) == 3
    assert fingerprint(first.changed(cell=mine("Decay"))) != fingerprint(trial_of(cell="elman"))
    with pytest.raises(ValueError, match="mine:Decay was edited while it was in use"):
        first.cell.check(6, 3)


def test_every_argument_of_the_class_changes_the_key_and_the_name(
    project: Path, trial_of: Callable[..., Trial]
) -> None:
    one, two = trial_of(cell=mine("Decay")), trial_of(cell=mine("Decay", decay=0.5))
    assert one.key != two.key
    assert (one.label, two.label) == ("mine:Decay", "mine:Decay (decay 0.5)")
    assert two.parameters()["cell.with.decay"] == 0.5


# Training ----------------------------------------------------------------------------------------------------------

DROPOUT = {"name": "module", "class": "torch.nn:LSTM", "with": {"num_layers": 2, "dropout": 0.5}}


def results(trials: list[Trial]) -> dict[str, Any]:
    events = list(Serial().map(train, [Cohort(tuple(trials))]))
    return {event.result.key: event.result.scores for _, event in events if isinstance(event, Finished)}


@pytest.mark.parametrize("spec", ["mine:Decay", DROPOUT], ids=["decay", "dropout"])
def test_a_cohort_gives_each_trial_the_result_of_training_alone(
    project: Path, trial_of: Callable[..., Trial], spec: Any
) -> None:
    """Also with dropout, whose random numbers come from a stream of each trial."""
    cell = cells.build({"name": "module", "class": spec} if isinstance(spec, str) else spec)
    trials = [trial_of(cell=cell, seed=seed) for seed in range(3)]
    packed = results(trials)
    assert len(packed) == 3
    for trial in trials[1:]:
        assert results([trial])[trial.key].equals(packed[trial.key])


def test_a_resumed_training_with_dropout_equals_one_that_was_not_stopped(trial_of: Callable[..., Trial]) -> None:
    trial = trial_of(cell=DROPOUT)
    events = list(train(Cohort.of(trial), checkpoint_seconds=0))
    saved = [event for event in events if isinstance(event, Checkpoint)][2]
    resumed = [event for event in train(Cohort((trial,), (saved,))) if isinstance(event, Finished)]
    assert resumed[0].result.scores.equals(results([trial])[trial.key])


def test_dropout_acts_in_training_and_not_in_measures(trial_of: Callable[..., Trial]) -> None:
    without = {**DROPOUT, "with": {"num_layers": 2}}
    first, second = trial_of(cell=DROPOUT), trial_of(cell=without)
    assert fingerprint(first) != fingerprint(second)
    recall = first.task
    networks = [draw(one.architecture, [TORCH], [0], 3) for one in (first, second)]
    x = torch.randn(1, 5, 2, recall.inputs)
    assert torch.equal(networks[0].run(x)[0], networks[1].run(x)[0])


def test_a_seed_is_that_of_torch_and_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(3)
    expected, after = torch.rand(4), torch.rand(4)
    torch.manual_seed(3)
    torch.rand(4)
    with seeded(3):
        assert torch.equal(torch.rand(4), expected)
    assert torch.equal(torch.rand(4), after)


def test_a_module_of_the_user_s_is_not_what_a_network_changes(project: Path) -> None:
    """Runs use copies of the tensors: a run in training mode leaves the parameters as they were."""
    cell = mine("Decay")
    network = draw(Architecture(cell, 3, 5, 0), [TORCH] * 2, range(2), 4)
    kept = {name: value.clone() for name, value in network.parameters.items()}
    Network(network.architecture, network.parameters, seeds=(0, 1)).run(torch.zeros(2, 4, 3, 3))
    assert all(torch.equal(value, kept[name]) for name, value in network.parameters.items())
    assert isinstance(cell.module(3, 5).module, nn.Module)
