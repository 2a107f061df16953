"""Calls about the service and the key: models, usage, capabilities and health. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from claude_code_api import models as generated
from claude_code_api.api.account import get_capabilities as get_capabilities_endpoint
from claude_code_api.api.account import get_usage as get_usage_endpoint
from claude_code_api.api.account import list_models as list_models_endpoint
from claude_code_api.api.system import get_health as get_health_endpoint
from claude_code_api.models.usage_period import UsagePeriod

from .._config import Config
from .._wire import responses
from ..errors import InvalidRequestError
from ..models import Capabilities, Health, ModelInfo, UsageReport
from .effects import Operation, Send

R = TypeVar("R")
T = TypeVar("T")


def list_models(config: Config) -> Operation[list[ModelInfo]]:
    """Get the models with their prices and limits."""
    return _read(config, list_models_endpoint, {}, generated.ModelList, responses.models)


def get_usage(config: Config, period: str) -> Operation[UsageReport]:
    """Get the usage of the period. Raises InvalidRequestError at once if there is no such period."""
    if period not in tuple(UsagePeriod):
        raise InvalidRequestError(f"period must be one of {', '.join(UsagePeriod)}, not {period!r}.", param="period")
    parameters = {"period": UsagePeriod(period)}
    return _read(config, get_usage_endpoint, parameters, generated.UsageReport, responses.usage_report)


def get_capabilities(config: Config) -> Operation[Capabilities]:
    """Get the tools, agents and skills that the key may use."""
    return _read(config, get_capabilities_endpoint, {}, generated.Capabilities, responses.capabilities)


def get_health(config: Config) -> Operation[Health]:
    """Get the state of the server."""
    return _read(config, get_health_endpoint, {}, generated.Health, responses.health)


def _read(
    config: Config, endpoint: Any, parameters: dict[str, Any], expected: type[R], convert: Callable[[R], T]
) -> Operation[T]:
    response = yield Send(request=endpoint._get_kwargs(**parameters), deadline=time.monotonic() + config.timeout)
    return responses.parse(endpoint, response, expected, convert)
