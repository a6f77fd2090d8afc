"""The stages that ship, by room. An explicit list shows newcomers what there is.

Names only: a stage is imported when somebody asks for it, so that checking a profile loads no more
than the stages that stand in it.
"""

from __future__ import annotations

_ROOMS: dict[str, tuple[str, ...]] = {
    "sampling": ("sample_frames", "filter_frames", "sample_scenes"),
    "shots": ("score_frames", "detect_shots"),
    "detection": (
        "detect_objects",
        "detect_faces",
        "classify_frames",
        "detect_codes",
        "score_motion",
        "detect_motion",
    ),
    "reading": ("detect_text",),
    "tracking": ("track_camera", "track_objects"),
    "audio": ("score_speech", "detect_speech", "transcribe_pieces", "transcribe"),
    "analysis": ("match_text", "measure_exposure", "zones", "moderate"),
    "asking": ("escalate_vlm", "human_review"),
    "rendering": (
        "plan_overlays",
        "plan_redaction",
        "render_pieces",
        "render_video",
        "redact",
        "plan_crops",
        "cut_crops",
        "crop_objects",
        "contact_sheet",
    ),
    "reporting": ("export", "report", "report_html"),
}

# Stage -> the module that holds its ``STAGE``.
SHIPPED: dict[str, str] = {
    name: f"mediaproc.detect.stages.{room}.{name}"
    for room, names in _ROOMS.items()
    for name in names
}
