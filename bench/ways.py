"""Ways to run a profile without the command line, each as a process of its own.

    python bench/ways.py bare|api|agent|naive|unsaved PROFILE CLIP

bare: the graph without a checkpointer, a job or a cache. api: as the README shows it. agent: the
graph is a node of a host graph that has a checkpointer of its own. naive: a plain LangGraph graph
that keeps frames as arrays in its state, as examples on the web do, and finds the same objects with
the same model; unsaved: that one without its checkpointer.
"""

from __future__ import annotations

import operator
import sqlite3
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

from mediaproc import build_graph, load_profile, open_checkpointer

# A segment of the naive graph: what the product takes by default, in seconds.
NAIVE_SEGMENT_S = 20


def bare(profile: str, clip: str) -> Any:
    return build_graph(load_profile(profile)).invoke({"video": clip})["report"]


def api(profile: str, clip: str) -> Any:
    with open_checkpointer() as saver:
        graph = build_graph(load_profile(profile), checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "job-1"}}
        return graph.invoke({"video": clip}, config, durability="sync")["report"]


def agent(profile: str, clip: str) -> Any:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph

    class Host(TypedDict, total=False):
        question: str
        video: str
        report: dict[str, Any]
        answer: str

    def understand(state: Host) -> Host:
        return {"video": state["question"].split()[-1]}

    def answer(state: Host) -> Host:
        return {"answer": f"{len(state['report']['objects'])} kinds of objects"}

    host = StateGraph(Host)
    host.add_node("understand", understand)
    host.add_node("watch", build_graph(load_profile(profile)))
    host.add_node("answer", answer)
    for one, other in ((START, "understand"), ("understand", "watch"), ("watch", "answer")):
        host.add_edge(one, other)
    host.add_edge("answer", END)
    config: Any = {"configurable": {"thread_id": "talk"}}
    found = host.compile(checkpointer=InMemorySaver()).invoke(
        {"question": f"What is there in {clip}"}, config
    )
    return found["report"]


class Naive(TypedDict, total=False):
    start: int
    frames: Any
    found: Annotated[list[Any], operator.add]


def naive(profile: str, clip: str, saved: bool = True) -> Any:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    from mediaproc.detect.models import ModelStore
    from mediaproc.detect.models.base import Thresholds
    from mediaproc.detect.models.runtime import Runtime
    from mediaproc.media import decode_frames, index_video
    from mediaproc.settings import load_settings

    home = load_settings().home
    home.mkdir(parents=True, exist_ok=True)
    stages = {node.stage: node.config for node in _plan(profile).nodes}
    settings = stages["detect_objects"]
    detector = ModelStore(home / "models").detector(
        settings["model"], Runtime(settings["engine"]), size=settings["image_size"]
    )
    thresholds = Thresholds(settings["min_confidence"], settings["iou"], settings["max_detections"])
    info, index = index_video(clip)
    rate = info.avg_frame_rate[0] / info.avg_frame_rate[1]
    step = round(rate / stages["sample_frames"]["fps"])
    length = round(rate * NAIVE_SEGMENT_S)

    def decode(state: Naive) -> Naive:
        start = state.get("start", 0)
        wanted = range(start, min(start + length, len(index)), step)
        frames = [(f.frame_index, f.image) for f in decode_frames(clip, index, wanted)]
        return {"frames": frames, "start": start + length}

    def detect(state: Naive) -> Naive:
        size = (info.display_width, info.display_height)
        rows = []
        for number, image in state["frames"]:
            import cv2

            scaled = cv2.resize(image, detector.input_size(size))
            (found,) = detector.detect([scaled], size, thresholds)
            rows.append((number, found.xyxy.tolist(), found.class_id.tolist()))
        return {"found": rows}

    graph: Any = StateGraph(Naive)
    graph.add_node("decode", decode)
    graph.add_node("detect", detect)
    graph.add_edge(START, "decode")
    graph.add_edge("decode", "detect")
    graph.add_conditional_edges(
        "detect", lambda state: END if state["start"] >= len(index) else "decode"
    )
    config: Any = {"configurable": {"thread_id": "job"}, "recursion_limit": 10_000}
    if not saved:
        return graph.compile().invoke({}, config)["found"]
    connection = sqlite3.connect(home / "naive.db", check_same_thread=False)
    saver = SqliteSaver(connection, serde=JsonPlusSerializer(pickle_fallback=True))
    return graph.compile(checkpointer=saver).invoke({}, config)["found"]


def _plan(profile: str) -> Any:
    from mediaproc.detect.analysis import check

    return check(load_profile(profile))


def main() -> None:
    way, profile, clip = sys.argv[1:]
    if way == "unsaved":
        found = naive(profile, str(Path(clip)), saved=False)
    else:
        found = {"bare": bare, "api": api, "agent": agent, "naive": naive}[way](profile, clip)
    assert found is not None


if __name__ == "__main__":
    main()
