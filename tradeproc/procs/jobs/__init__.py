"""`core.jobs`: the work that must not slow a trader down.

    main.py          the process
    queue_worker.py  the job queue's worker

Start reading at `main.py`.
"""
