"""PyTorch in an environment of its own: programs and modules, held against PyTorch itself.

The environment is made by `edgeq doctor --install torch` (1.1 GB, one to two minutes) and stays in the user's cache for
the next run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq import importers, process
from edgeq.errors import ModelFileError, UnsupportedError
from edgeq.importers import kind_of
from edgeq.importers.environments import install
from edgeq.quantize import convert

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
_HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\ntorch.manual_seed(0)\n"
_CNN = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.point = nn.Conv2d(8, 8, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head = nn.Sequential(nn.Linear(8 * 4 * 4, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 4))
    def forward(self, image):
        x = self.stem(image)
        y = self.point(self.depth(x))
        x = F.max_pool2d(F.relu(x + y * self.gate(y)), 2)
        return self.head(torch.flatten(x, 1))
model = Net().eval()
for layer in model.modules():
    if isinstance(layer, nn.BatchNorm2d):
        layer.running_mean.normal_(); layer.running_var.uniform_(0.5, 2)
"""


@pytest.fixture(scope="module")
def torch_python() -> Path:
    return install("torch")


@pytest.fixture
def export(torch_python: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """Runs a program that defines `model`, and exports it for inputs."""

    def exported(program: str, inputs: str, more: str = "") -> Path:
        target = tmp_path / "model.pt2"
        code = f"{_HEAD}{program}\nmade = torch.export.export(model.eval(), ({inputs},){more})\n"
        code += f"torch.export.save(made, {str(target)!r})"
        process.run([torch_python, "-c", code], timeout_s=300, cwd=tmp_path)
        return target

    return exported


def test_a_classifier_of_pytorch_has_no_transposes(export: Callable[..., Path]) -> None:
    path = export(_CNN, "torch.zeros(2, 3, 16, 16)", ", dynamic_shapes=({0: torch.export.Dim('batch', min=1)},)")
    assert kind_of(path) == "torch"
    model = importers.load(path)
    kinds = [op.kind for op in model.graph.ops]
    assert "TRANSPOSE" not in kinds and kinds.count("CONV_2D") == 3 and kinds.count("FULLY_CONNECTED") == 2
    assert model.inputs == ("image",) and model.graph.tensors[model.graph.inputs[0]].shape == (1, 16, 16, 3)
    found = model.verification
    assert found is not None and found.against.startswith("PyTorch 2.") and found.largest <= 1e-4
    images = np.random.default_rng(0).normal(0, 1, (40, 3, 16, 16)).astype(np.float32)
    assert convert(model, representative_data=images).report.integer_only


def test_recurrent_and_attention_layers(export: Callable[..., Path]) -> None:
    program = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.attention = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.head = nn.Linear(16, 3)
    def forward(self, x):
        return self.head(self.attention(self.lstm(x)[0]).mean(1))
model = Net()
"""
    model = importers.load(export(program, "torch.zeros(1, 10, 6)"))
    assert model.verification is not None and model.verification.largest <= 1e-4
    samples = np.random.default_rng(0).normal(0, 1, (30, 10, 6))
    assert convert(model, representative_data=samples).report.integer_only


def test_a_module_object_is_exported_where_it_lives(torch_python: Path, tmp_path: Path) -> None:
    """PyTorch's own process calls edgeq here, with edgeq's other packages lent to it."""
    site = next(p for p in sys.path if p.endswith("site-packages"))
    root = Path(importers.__file__).parents[2]
    (tmp_path / "lent").mkdir()
    for name in ("ai_edge_litert", "tqdm"):
        if (Path(site) / name).exists():
            (tmp_path / "lent" / name).symlink_to(Path(site) / name)
    program = f"""{_HEAD}{_CNN}
import sys
sys.path += [{str(root)!r}, {str(tmp_path / "lent")!r}]
from edgeq import importers
from edgeq.errors import UsageError
try:
    importers.load(model)
except UsageError as refused:
    print("refused:", refused.what)
model.train()
made = importers.load(model, options=importers.ImportOptions(example_inputs=torch.zeros(1, 3, 16, 16)))
print(model.training, made.kind, made.name, made.inputs, made.verification.largest < 1e-4)
program = torch.export.export(model.eval(), (torch.zeros(1, 3, 16, 16),))
print(importers.load(program).graph.tensors[0].shape)
"""
    said = process.run([torch_python, "-c", program], timeout_s=400, cwd=tmp_path).stdout.splitlines()
    assert said[0] == "refused: the module Net doesn't say what shape its inputs have"
    assert said[1] == "True torch Net ('image',) True"
    assert said[2] == "(1, 16, 16, 3)"


def test_what_cannot_be_had_is_said(export: Callable[..., Path], torch_python: Path, tmp_path: Path) -> None:
    shapes = ", dynamic_shapes=({2: torch.export.Dim('h', min=4)},)"
    with pytest.raises(UnsupportedError, match=r"input 'input' has the shape \(1, 3, \?, 8\)"):
        importers.load(export("model = nn.Conv2d(3, 4, 3)", "torch.zeros(1, 3, 8, 8)", shapes))
    with pytest.raises(UnsupportedError, match=r"Conv .*works along 3 axes"):
        importers.load(export("model = nn.Conv3d(1, 1, 3)", "torch.zeros(1, 1, 4, 4, 4)"))
    code = f"{_HEAD}torch.save(nn.Linear(2, 2).state_dict(), {str(tmp_path / 'weights.pt')!r})"
    process.run([torch_python, "-c", code], timeout_s=300, cwd=tmp_path)
    with pytest.raises(ModelFileError, match=r"PyTorch checkpoint.*doesn't unpickle(.|\n)*torch.export.save"):
        importers.load(tmp_path / "weights.pt")
