"""What a Python program does with the generated client: lists tasks of a running API, and submits a backfill."""

import os

from candlemill_client import AuthenticatedClient
from candlemill_client.api.backfills import submit_fetch
from candlemill_client.api.tasks import list_tasks, show_progress
from candlemill_client.models import Accepted, FetchRequest, ProgressView, TaskList

client = AuthenticatedClient(base_url=os.environ["CANDLEMILL_API_URL"], token=os.environ["CANDLEMILL_TOKEN"])
request = FetchRequest.from_dict(
    {"symbol": "BTCUSDT", "interval": "1h", "start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
)
accepted = submit_fetch.sync(client=client, body=request)
assert isinstance(accepted, Accepted), accepted
tasks = list_tasks.sync(client=client, limit=10)
assert isinstance(tasks, TaskList), tasks
assert accepted.task_id in [task.task_id for task in tasks.tasks], tasks
progress = show_progress.sync(accepted.task_id, client=client)
assert isinstance(progress, ProgressView), progress
print(f"the generated Python client listed {len(tasks.tasks)} task(s) and found {accepted.task_id} {progress.state}")
