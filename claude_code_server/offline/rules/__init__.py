"""The rules, one family a file: ``match(request, text)`` is a ``Talk``, or None where it does not apply."""
