"""A real Kafka broker for development, tests and benchmarks; never for production.

In:  Java and Maven on this machine, or `PIGEON_KAFKA=host:port` naming a broker that runs.
Out: the address of a broker that answers.

`make kafka` runs one in the foreground (`__main__.py`). Tests and benchmarks open `cluster.py`,
which takes the named broker or starts one. `broker.py` starts, kills and restarts;
`programs.py` finds Java and Maven, `jars.py` fetches what `pom.xml` names, `properties.py`
configures it, and `guard.py` cleans up after a parent that died. Not part of the installed package.
"""
