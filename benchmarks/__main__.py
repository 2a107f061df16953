"""All benchmarks. Each figure is a ratio to a baseline of the same run, because machines differ."""

from benchmarks.calls import bench_calls
from benchmarks.startup import bench_startup
from benchmarks.streams import bench_stream

bench_startup()
bench_calls()
bench_stream()
