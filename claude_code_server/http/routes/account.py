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
from ...domain.key_account import day_start, month_start
from ...domain.model_catalog import Model
from ...domain.timestamps import format_time
from ...domain.usage import total_usage
from ...services import capabilities
from ...services.permission_checks import may_use_model
from ..request import RequestContext
from ..responses import json_response

_PERIODS: Final = {
    models.UsagePeriod.DAY: timedelta(days=1),
    models.UsagePeriod.WEEK: timedelta(days=7),
    models.UsagePeriod.MONTH: timedelta(days=30),
}
_BUDGET_STARTS: Final = {models.UsagePeriod.DAY: day_start, models.UsagePeriod.MONTH: month_start}


async def list_models(context: RequestContext) -> Response:
    """List the models of the catalog that the key may use."""
    tariff, permissions = context.services.tariff, context.caller.permissions
    allowed = [
        model
        for model in tariff.catalog.models
        if tariff.serves(model.id) and may_use_model(permissions, tariff.catalog, model.id)
    ]
    default = tariff.catalog.resolve(context.services.settings.model)
    if allowed and not may_use_model(permissions, tariff.catalog, default):
        default = allowed[0].id
    listed = [_serialize_model(model, tariff.price(model.id), default) for model in allowed]
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
    budget = context.services.accounts.of(context.owner).left_in(str(period))
    start = format_time(end - _PERIODS[period] if budget is None else _BUDGET_STARTS[period](end))
    by_model = context.services.store.usage_by_model(context.owner, start)
    total = total_usage(row.usage for row in by_model)
    report = models.UsageReport(
        period=period,
        start=start,
        end=format_time(end),
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        total_tokens=total.total_tokens,
        cost=total.cost,
        limit=None if budget is None else budget[0],
        remaining=None if budget is None else budget[1],
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
    """List the tools, agents and skills that the key may use, and its limits."""
    permissions = context.caller.permissions

    def serialize(listed: Iterable[capabilities.Capability]) -> list[models.Capability]:
        return [models.Capability(name=item.name, description=item.description) for item in listed]

    return json_response(
        models.Capabilities(
            tools=serialize(capabilities.list_tools(context.services.settings, permissions)),
            agents=serialize(capabilities.list_agents(context.services.agent_library, permissions)),
            skills=serialize(capabilities.list_skills(context.services.agent_library, permissions)),
            limits=models.KeyLimits(
                requests_per_minute=permissions.requests_per_minute,
                tasks_at_once=permissions.tasks_at_once,
                max_timeout=permissions.max_timeout,
                max_cost=permissions.max_cost,
                day_budget=permissions.day_budget,
                month_budget=permissions.month_budget,
            ),
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
