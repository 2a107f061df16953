"""Operations: each call of the client, decided step by step as a generator of effects. No I/O."""
