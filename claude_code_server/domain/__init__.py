"""The domain: entities, errors, prices, settings and the engine's interface. No I/O."""
