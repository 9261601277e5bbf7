"""From a package on the host to a package that runs on a device: connections, agent, transfer, fleet."""
