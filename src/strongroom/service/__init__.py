"""What runs on one machine: settings, the processes and who keeps them running, a trial, a relay."""
