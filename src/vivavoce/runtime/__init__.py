"""Live conversations without transport: engine, session, turns, history."""
