"""What runs on the device: standard library only, relative imports only, Python 3.9 and later.

The host packs this folder into one file (`toolchain/deploy/agent_bundle.py`) in which it is the package
`edgepack_agent`, and starts it over SSH. `PROTOCOL.md` says what the two say to each other.

Where things are, in the order in which a request meets them:
    __main__   the command line, the signals, the only exit
    protocol   framing of requests and answers
    dispatch   the loop: a line in, its answer out
    requests   one small function a request: checks its fields, calls the module that does the work
    store, trust, package, lease, install, apps, runtimes, wheel, jobs, benchmark, system
               the work itself; plain values in and out
    child      the process of its own in which a runtime is loaded (`children` starts it): `golden`,
               `measure` and `runners/` run only there
    layout, durable, process, errors
               what they all stand on
"""
