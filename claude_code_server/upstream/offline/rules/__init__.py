"""Rules, one family per module: ``match(task, text)`` returns a ``Dialogue``, or None if the rule does not apply."""
