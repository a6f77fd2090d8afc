"""Addresses: what is a URL, what of it may be shown, and the name of a video."""

from __future__ import annotations

import pytest

from mediaproc.addresses import is_url, shown, video_name


@pytest.mark.parametrize(
    ("address", "url"),
    [("a.mp4", False), ("/a/b?c.mp4", False), ("C:/a.mp4", False), ("HTTPS://h/a", True)],
)
def test_addresses_url_has_a_scheme(address: str, url: bool) -> None:
    assert is_url(address) == url


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("/videos/me:you@home/a?b.mp4", "/videos/me:you@home/a?b.mp4"),
        ("s3://bucket/what?@.mp4", "s3://bucket/what?@.mp4"),
        ("https://host/a.mp4", "https://host/a.mp4"),
        ("https://host/a@b.mp4", "https://host/a@b.mp4"),
        ("https://token@host/a.mp4", "https://***@host/a.mp4"),
        ("https://me:p@ss@host:8/a.mp4?sig=1&x=2#t", "https://***@host:8/a.mp4?***"),
        ("https://me:pa/ss@host/a.mp4", "https://***@host/a.mp4"),
        ("http://[host/a.mp4?sig=1", "http://[host/a.mp4?***"),
    ],
)
def test_addresses_shown_masks_user_and_query_of_a_url(address: str, text: str) -> None:
    assert shown(address) == text


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/videos/a b.mp4", "a b.mp4"),
        ("s3://bucket/in/a?b%20c.mp4", "a?b%20c.mp4"),
        ("https://host/in/a%20b.mp4?sig=/x", "a b.mp4"),
        ("https://host/", ""),
    ],
)
def test_addresses_video_name_is_the_last_component(address: str, name: str) -> None:
    assert video_name(address) == name
