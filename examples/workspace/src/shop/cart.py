"""The shopping cart."""

from dataclasses import dataclass, field

from shop.prices import Price


@dataclass
class Cart:
    """Goods that a customer is about to buy."""

    items: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        """Put some of a product into the cart."""
        # TODO: refuse a count below 1
        self.items[name] = self.items.get(name, 0) + count

    def total(self, prices: dict[str, Price]) -> Price:
        """The price of everything in the cart."""
        return sum((prices[name] * count for name, count in self.items.items()), Price(0))
