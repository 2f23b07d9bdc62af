"""The language of the library: streams, layouts, states, configurations, parts, errors; no weights."""
