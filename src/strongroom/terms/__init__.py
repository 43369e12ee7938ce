"""Terms: what rooms that cannot see each other exchange. Pure; imports nothing of Strongroom."""
