"""The default model's own system: how its mind writes calls and replies, also for tools that it was not taught."""
