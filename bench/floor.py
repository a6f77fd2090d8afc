"""The least that a frame can cost: CPU time of decoding alone, and of inference alone.

    python bench/floor.py CLIP --every 5 [--model MODEL.onnx --engine onnx]

Decoding: PyAV on one thread, straight to the model's input with swscale, without the packets that
no wanted frame needs; without ``--size`` nothing is made of the frames. Inference: one thread, on
a picture that is there already. Prints milliseconds of CPU per frame as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import av
import numpy as np


def decoding_ms(clip: str, every: int, size_wh: tuple[int, int] | None) -> float:
    with av.open(clip) as container:
        stream = container.streams.video[0]
        numbers = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
    wanted = set(numbers[::every])
    count = 0
    with av.open(clip) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        context.thread_count = 1
        started = time.process_time()
        for packet in container.demux(stream):
            context.skip_frame = "DEFAULT" if packet.pts in wanted or not packet.size else "NONREF"
            for frame in packet.decode():
                if frame.pts not in wanted:
                    continue
                count += 1
                if size_wh is not None:
                    width, height = size_wh
                    frame.to_ndarray(
                        format="bgr24", width=width, height=height, interpolation="BILINEAR"
                    )
        spent = time.process_time() - started
    assert count == len(wanted)
    return spent / count * 1000


def inference_ms(model: str, engine: str, half: bool, times: int) -> float:
    picture = np.random.default_rng(0).random((1, 3, 384, 640), dtype=np.float32)
    run: Any
    if engine == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

        def run() -> Any:
            return session.run(None, {"images": picture})
    else:
        import openvino

        properties = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
        }
        compiled = openvino.Core().compile_model(model, "CPU", properties)

        def run() -> Any:
            return compiled({"images": picture})

    run()
    started = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - started) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--size", help="of the pictures, WIDTHxHEIGHT")
    parser.add_argument("--model")
    parser.add_argument("--engine", default="onnx", choices=["onnx", "openvino"])
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--times", type=int, default=100)
    arguments = parser.parse_args()
    size = None
    if arguments.size:
        width, height = map(int, arguments.size.split("x"))
        size = (width, height)
    found = {"decode_ms": decoding_ms(arguments.clip, arguments.every, size)}
    if arguments.model:
        found["inference_ms"] = inference_ms(
            arguments.model, arguments.engine, arguments.half, arguments.times
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
