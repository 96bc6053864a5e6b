"""What can be seen of any network from outside: its layers, its operations, its faults."""
