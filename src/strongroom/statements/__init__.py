"""Statements: what anybody says, in one signed envelope, and how it is verified. Pure: no clock, disk or randomness."""
