"""The application services: tasks, completions, authentication."""
