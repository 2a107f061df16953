"""What a key may use and has used, and the server itself."""

from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from claude_code_api import models
from starlette.responses import Response

from claude_code_server import capabilities, catalog
from claude_code_server.call import Call
from claude_code_server.records import iso

from .answers import answer

_PERIODS = {
    models.UsagePeriod.DAY: timedelta(days=1),
    models.UsagePeriod.WEEK: timedelta(days=7),
    models.UsagePeriod.MONTH: timedelta(days=30),
}


async def list_models(call: Call) -> Response:
    default = catalog.resolve(call.services.settings.model)
    free = call.services.upstream.free
    listed = [
        models.Model(
            id=model.id,
            alias=model.alias,
            input_price=0.0 if free else model.price.input,
            output_price=0.0 if free else model.price.output,
            context_window=model.context_window,
            max_output_tokens=model.max_output_tokens,
            default=model.id == default,
        )
        for model in catalog.MODELS
    ]
    return answer(models.ModelList(data=listed))


async def get_usage(call: Call) -> Response:
    period = models.UsagePeriod(call.parameters.get("period", models.UsagePeriod.MONTH))
    end = datetime.now(UTC)
    start = iso(end - _PERIODS[period])
    used = [
        models.ModelUsage(
            model=row.model,
            requests=row.requests,
            input_tokens=row.spent.input_tokens,
            output_tokens=row.spent.output_tokens,
            total_tokens=row.spent.input_tokens + row.spent.output_tokens,
            cost=row.spent.cost,
        )
        for row in call.services.store.usage(call.key, start)
    ]
    report = models.UsageReport(
        period=period,
        start=start,
        end=iso(end),
        input_tokens=sum(row.input_tokens for row in used),
        output_tokens=sum(row.output_tokens for row in used),
        total_tokens=sum(row.total_tokens for row in used),
        cost=sum(row.cost for row in used),
        limit=None,
        remaining=None,
        models=used,
    )
    return answer(report)


async def get_capabilities(call: Call) -> Response:
    def described(rows: capabilities.Described) -> list[models.Capability]:
        return [models.Capability(name=name, description=description) for name, description in rows]

    return answer(
        models.Capabilities(
            tools=described(capabilities.tools(call.services.settings)),
            agents=described(capabilities.agents()),
            skills=described(capabilities.skills()),
        )
    )


async def get_health(call: Call) -> Response:
    services = call.services
    return answer(
        models.Health(
            status="ok",
            version=server_version(),
            engine=services.engine.name,
            upstream=upstream_name(services.upstream.name),
            spec_version=services.contract.version,
        )
    )


def server_version() -> str:
    try:
        return version("claude-code-client")
    except PackageNotFoundError:
        return "0"


def upstream_name(name: str) -> str:
    """``anthropic``, ``offline`` or a host name."""
    host = urlsplit(name).hostname
    return "anthropic" if host == "api.anthropic.com" else host or name
