"""How far back does a small causal Transformer of torch recall a symbol? Used by docs/arrays.md."""

import torch
from torch import nn

from farback import stats, tasks

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(32, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True)
encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
embed, readout = nn.Linear(9, 32), nn.Linear(32, 4)  # 9 inputs, 4 symbols to choose from
model = nn.ModuleList([embed, encoder, readout])


def logits(x_NTI: torch.Tensor) -> torch.Tensor:
    """One logit for each symbol at every step, (N, T, 4); a step sees no later step."""
    causal = nn.Transformer.generate_square_subsequent_mask(x_NTI.shape[1])
    return readout(encoder(embed(x_NTI), mask=causal, is_causal=True))


data = tasks.arrays("recall", count=32 * 300, lags={"log_uniform": [1, 40]})
x, y, mask = (torch.from_numpy(data[name]).split(32) for name in ("x", "y", "mask"))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for x_NTI, y_NT, mask_NT in zip(x, y, mask, strict=True):
    optimizer.zero_grad()
    nn.functional.cross_entropy(logits(x_NTI)[mask_NT], y_NT[mask_NT]).backward()
    optimizer.step()

passed = {}
for lag in (5, 10, 20, 40, 80, 160, 320):
    test = tasks.arrays("recall", lag, count=200, purpose="test")
    with torch.no_grad():
        found = tasks.score("recall", logits(torch.from_numpy(test["x"])), test, lag=lag)
    passed[lag] = found.remembered
    print(f"lag {lag}: skill {found.skill:.2f}, accuracy {found.accuracy:.2f}")
print("last lag before the first failure:", stats.first_failure(list(passed), list(passed.values())).horizon)
