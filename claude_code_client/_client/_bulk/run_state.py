"""State of one run of a batch: its results file, its budget, and the client's state with both."""

from __future__ import annotations

from typing import Any

import attrs

from ..._operations.client_state import ClientState
from ..._operations.completions import priced_models
from ..._policy.budget import ActiveBudgets, Budget
from ..._transport.async_connection import AsyncConnection
from .arguments import BatchOptions
from .items import Item
from .results import BatchResult
from .results_file import ResultsFile, new_batch_id


@attrs.frozen
class RunState:
    """State of one run."""

    batch_id: str
    file: ResultsFile | None
    state: ClientState
    """State of the client, with the batch's budget beside those of the client."""
    parent: ClientState

    @property
    def cost(self) -> float:
        """USD that earlier runs have spent."""
        return 0.0 if self.file is None else self.file.cost

    def read(self, item: Item) -> BatchResult[Any] | None:
        """Return the result that an earlier run has stored, if any."""
        return None if self.file is None else self.file.read(item)

    async def fetch_prices(self, method: str, connection: AsyncConnection) -> None:
        """Fetch the prices of models, once for all completions, if a budget needs them."""
        if method == "map_completions" and self.state.budgets.active and self.state.models is None:
            self.parent.models = self.state.models = await connection.run(priced_models(connection.config))

    def close(self) -> None:
        """Close the results file."""
        if self.file is not None:
            self.file.close()


def open_run(options: BatchOptions, parent: ClientState) -> RunState:
    """Open the results file, if there is one. Raises ConfigurationError."""
    file = None if options.results is None else ResultsFile(options.results)
    budgets = ActiveBudgets(parent.budgets)
    if options.budget is not None:
        budget = Budget(options.budget)
        if file is not None:
            # What earlier runs have spent counts.
            budget.reserve(0.0).settle(file.cost)
        budgets.open(budget)
    state = attrs.evolve(parent, budgets=budgets)
    return RunState(new_batch_id() if file is None else file.batch_id, file, state, parent)
