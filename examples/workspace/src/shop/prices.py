"""Prices, as exact numbers."""

from decimal import Decimal as Price


def with_tax(price: Price, rate: Price = Price("0.19")) -> Price:
    """The price with tax, rounded to the cent."""
    # FIXME: rounds half to even; invoices round half up
    return (price * (1 + rate)).quantize(Price("0.01"))
