import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """As in a worker: torch's second thread makes these sizes slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
