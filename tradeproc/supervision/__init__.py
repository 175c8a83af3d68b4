"""What supervisord does not know, added around it: relations between processes, limits, groups that come and go.

    daemon.py         starts supervisord in the background, and ends it
    client.py         asks supervisord over its socket; rpcinterface.py and ctlplugin.py run inside its programs
    self_pipe.py      makes supervisord's loop turn at once when a child dies; ending.py bounds the time of its end
    groups.py         the files of groups that come and go; declared.py reads what every group declares about itself
    wanted_groups.py  which groups should be there: pure steps, taken by groups_shell.py for the keeper
    feed_programs.py  single programs inside the running group of a login, for its link
    rules.py          what follows from a death: pure; restarts.py has its events and actions, plans.py what is noted
    halted_by.py      whose name stands at a halt that followed from deaths
    repeats.py        deaths that repeat without any work between: pure; deaths.py the last words of processes
    liveness.py       which processes hang: pure; killing.py ends them, hangs.py connects both with heartbeats
    restarting.py     carries out the rules; listener.py speaks supervisord's event protocol; watchdog.py systemd's

Never here: brokers, orders, prices. Start reading at `rules.py`.
"""
