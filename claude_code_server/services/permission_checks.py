"""Checks of what a request names, and of its limits, against the permissions of its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..domain.errors import ApiError
from ..domain.model_catalog import ModelCatalog, Tariff
from ..domain.permissions import Permissions, matches
from .messages import priced_model


def check_permitted(kind: str, names: Iterable[str], allowed: Sequence[str], field: str) -> None:
    """Raise ApiError 403 for the first of ``names`` that is not ``allowed``."""
    for name in names:
        if name not in allowed:
            raise _forbidden(kind, name, allowed, field)


def may_use_model(permissions: Permissions, catalog: ModelCatalog, model: str) -> bool:
    """Return whether a key may use a model, by ID. Its patterns may mean the alias or the undated ID."""
    if permissions.models is None:
        return True
    found = catalog.find(model)
    known = None if found is catalog.any_other else found
    return matches(permissions.models, model, *((known.id, known.alias) if known else ()))


def permitted_model(name: str | None, default: str | None, tariff: Tariff, permissions: Permissions, field: str) -> str:
    """Return the ID of a requested model; for a request that names none, the default or the first that is permitted.

    Raise ApiError 400 if its price is not known, or 403 if the key may not use it.
    """
    model = priced_model(name, default, tariff, field)
    if may_use_model(permissions, tariff.catalog, model):
        return model
    allowed = [
        known
        for known in tariff.catalog.models
        if tariff.serves(known.id) and may_use_model(permissions, tariff.catalog, known.id)
    ]
    if name is None and allowed:
        return allowed[0].id
    names = [known.alias or known.id for known in allowed]
    raise _forbidden("model", name or model, names or list(permissions.models or ()), field)


def limited(requested: float | None, default: float, most: float | None, description: str, field: str) -> float:
    """Return a requested limit, or the default within ``most``. Raise ApiError 403 for a request beyond ``most``.

    ``description`` names the limit, with the place of the amount: ``a timeout of {:g} s``.
    """
    if requested is None:
        return default if most is None else min(default, most)
    if most is not None and requested > most:
        message = (
            f"This key may not request {description.format(requested)}; it may request {description.format(most)}."
        )
        raise ApiError(403, "permission_error", message, param=field)
    return requested


def _forbidden(kind: str, name: str, allowed: Sequence[str], field: str) -> ApiError:
    instead = f"it may use: {', '.join(allowed)}" if allowed else f"it may use no {kind}s"
    return ApiError(403, "permission_error", f"This key may not use the {kind} {name}; {instead}.", param=field)
