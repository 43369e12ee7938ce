"""Security keys on this machine: what signs a statement when a person touches it."""
