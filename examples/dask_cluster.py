"""Completions by the workers of a Dask cluster, here of two processes on this machine.

Run it with CLAUDE_API_KEY, and CLAUDE_BASE_URL if it is not the hosted service, in the environment; the workers read
the key from theirs. For a cluster that is running, pass its address: ``Client("tcp://scheduler.example.com:8786")``.
"""

from __future__ import annotations

from distributed import Client, LocalCluster

from claude_code_client import ClaudeClient


def main() -> None:
    """Print a few completions, and keep them in a file."""
    prompts = [f"Say {number}" for number in range(20)]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as dask,
        ClaudeClient() as client,
        client.map_completions(prompts, max_tokens=20, results="out.jsonl", executor=dask.get_executor()) as batch,
    ):
        for result in batch:
            print(result.index, result.unwrap().content)


if __name__ == "__main__":
    main()
