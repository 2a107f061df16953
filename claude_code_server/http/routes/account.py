"""Routes for models, usage, capabilities and health."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from claude_code_api import models
from starlette.responses import Response

from claude_code_common.pricing import ModelPrice
from claude_code_common.version import __version__

from ...domain.errors import not_implemented
from ...domain.model_catalog import Model
from ...domain.timestamps import format_time
from ...domain.usage import total_usage
from ...services import capabilities
from ..request import RequestContext
from ..responses import json_response

_PERIODS: Final = {
    models.UsagePeriod.DAY: timedelta(days=1),
    models.UsagePeriod.WEEK: timedelta(days=7),
    models.UsagePeriod.MONTH: timedelta(days=30),
}


async def list_models(context: RequestContext) -> Response:
    """List the models of the catalog."""
    tariff = context.services.tariff
    default = tariff.catalog.resolve(context.services.settings.model)
    listed = [
        _serialize_model(model, tariff.price(model.id), default)
        for model in tariff.catalog.models
        if tariff.serves(model.id)
    ]
    return json_response(models.ModelList(data=listed))


def _serialize_model(model: Model, price: ModelPrice, default: str) -> models.Model:
    long = price.long_context
    return models.Model(
        id=model.id,
        alias=model.alias,
        input_price=price.base.input,
        output_price=price.base.output,
        long_context_over=price.long_context_over,
        long_context_input_price=None if long is None else long.input,
        long_context_output_price=None if long is None else long.output,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        default=model.id == default,
    )


async def get_usage(context: RequestContext) -> Response:
    """Report the usage of the caller's key. Raise ApiError 501 for a period that this server does not know."""
    period = models.UsagePeriod(context.parameters.get("period", models.UsagePeriod.MONTH))
    if period not in _PERIODS:
        supported = ", ".join(_PERIODS)
        raise not_implemented(f"This server does not implement the period {str(period)!r}; supported: {supported}.")
    end = datetime.now(UTC)
    start = format_time(end - _PERIODS[period])
    by_model = context.services.store.usage_by_model(context.key_hash, start)
    total = total_usage(row.usage for row in by_model)
    report = models.UsageReport(
        period=period,
        start=start,
        end=format_time(end),
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        total_tokens=total.total_tokens,
        cost=total.cost,
        limit=None,
        remaining=None,
        models=[
            models.ModelUsage(
                model=row.model,
                requests=row.requests,
                input_tokens=row.usage.input_tokens,
                output_tokens=row.usage.output_tokens,
                total_tokens=row.usage.total_tokens,
                cost=row.usage.cost,
            )
            for row in by_model
        ],
    )
    return json_response(report)


async def get_capabilities(context: RequestContext) -> Response:
    """List tools, agents and skills."""

    def serialize(listed: Iterable[capabilities.Capability]) -> list[models.Capability]:
        return [models.Capability(name=item.name, description=item.description) for item in listed]

    return json_response(
        models.Capabilities(
            tools=serialize(capabilities.list_tools(context.services.settings)),
            agents=serialize(capabilities.list_agents(context.services.agent_library)),
            skills=serialize(capabilities.list_skills(context.services.agent_library)),
        )
    )


async def get_health(context: RequestContext) -> Response:
    """Report versions, engine and upstream."""
    services = context.services
    return json_response(
        models.Health(
            status="ok",
            version=__version__,
            engine=services.engine.name,
            upstream=_public_upstream_name(services.upstream.name),
            spec_version=services.contract.version,
        )
    )


def _public_upstream_name(name: str) -> str:
    """Return ``anthropic``, ``offline`` or a host name; all of them if there are several."""
    if ", " in name:
        return ", ".join(map(_public_upstream_name, name.split(", ")))
    host = urlsplit(name).hostname
    return "anthropic" if host == "api.anthropic.com" else host or name
