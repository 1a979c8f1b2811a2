"""Whole VPNs measured against each other: two namespaces, a daemon in each, traffic from one to the other."""
