"""Runs a profile with a chat model of the application, and answers what it asks."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.types import Command

from mediaproc import build_graph, load_profile, open_checkpointer

UNSURE = {"answer": "unsure", "label": "", "score": 0.5, "reason": "too dark"}


def decided(item: dict[str, Any]) -> str:
    """Where an agent would show the picture to somebody, this one goes by the detector."""
    return "accept" if item["confidence"] >= 0.5 else "reject"


def main(video: str) -> None:
    judge = GenericFakeChatModel(messages=itertools.repeat(AIMessage(json.dumps(UNSURE))))
    profile = load_profile(Path(__file__).with_name("review.yaml"))
    config: Any = {"configurable": {"thread_id": "review-1"}}
    with open_checkpointer() as saver:
        graph = build_graph(profile, checkpointer=saver, chat_models={"judge": judge})
        result = graph.invoke({"video": video}, config, durability="sync")
        for question in graph.get_state(config).interrupts:
            answer = {item["id"]: decided(item) for item in question.value["items"]}
            said = Command(resume={question.id: {"decisions": answer, "by": "the agent"}})
            result = graph.invoke(said, config, durability="sync")
    print(json.dumps({name: result["report"][name] for name in ("answers", "reviews")}))


if __name__ == "__main__":
    main(sys.argv[1])
