"""Facts of any network, found from outside: layers, operations, answers, faults."""
