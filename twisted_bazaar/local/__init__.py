"""`twistd bazaar`: the whole bazaar on one machine, one process for each service.

`tap` reads the options and `plan` makes of them a list of processes with their command lines,
on ports that `ports` reserves. `bazaar` is the service that starts them, and `supervisor`
restarts one that dies; `child` is the script that binds each to its parent. `engine` makes and runs
the PostgreSQL of `--engine embedded-postgres`, which `postgres` finds; `certificates` makes those
by which the processes know each other, and `wrong_folder` refuses a folder whose orders are
elsewhere. Nothing here knows what the services do, and only `load` and `tools` import it.
"""
