"""Connections to HTTP servers, straight or through the proxy that the environment names."""

from __future__ import annotations

import base64
import http.client
import ssl
from functools import cache
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0

_PORTS = {"http": 80, "https": 443}
# All that may stand in a URL as it is; what else there is gets percent-encoded.
_PLAIN = "%/:?#[]@!$&'()*+,;=~"


class ProxyError(Exception):
    """The environment names a proxy of a kind that cannot be used; the text says which."""


class Connection:
    """An open connection to the server of ``url``, by ``HTTP_PROXY`` or ``HTTPS_PROXY`` where set.

    Raises:
        ProxyError: the proxy cannot be used.
        OSError: the host cannot be reached.
    """

    def __init__(self, url: SplitResult) -> None:
        scheme, host, port = origin(url)
        proxy = None if proxy_bypass(f"{host}:{port}") else getproxies().get(scheme)
        self._proxy = urlsplit(proxy) if proxy else None
        if self._proxy is not None and (self._proxy.scheme != "http" or not self._proxy.hostname):
            raise ProxyError(f"{scheme.upper()}_PROXY is not of the form http://host:port")
        first = (host, port)
        if self._proxy is not None:
            first = (self._proxy.hostname or "", self._proxy.port or _PORTS["http"])
        self._http: http.client.HTTPConnection
        if scheme == "https":
            self._http = http.client.HTTPSConnection(
                first[0], first[1], timeout=CONNECT_TIMEOUT_S, context=_tls()
            )
            if self._proxy is not None:
                self._http.set_tunnel(host, port, headers=_credentials(self._proxy, "Proxy-"))
        else:
            self._http = http.client.HTTPConnection(first[0], first[1], timeout=CONNECT_TIMEOUT_S)
        try:
            self._http.connect()
        except BaseException:
            self._http.close()
            raise
        self._http.sock.settimeout(READ_TIMEOUT_S)

    def get(self, url: SplitResult, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The answer to a GET, its body still to be read; ``url`` is on the same server."""
        target = url._replace(scheme="", netloc="", fragment="", path=url.path or "/").geturl()
        sent = {**headers, **_credentials(url)}
        if self._proxy is not None and url.scheme == "http":
            target = f"http://{url.netloc.rpartition('@')[2]}{target}"
            sent.update(_credentials(self._proxy, "Proxy-"))
        self._http.request("GET", quote(target, safe=_PLAIN), headers=sent)
        return self._http.getresponse()

    def close(self) -> None:
        """Close it."""
        self._http.close()


def origin(url: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port."""
    return url.scheme, url.hostname or "", url.port or _PORTS[url.scheme]


def _credentials(url: SplitResult, kind: str = "") -> dict[str, str]:
    if url.username is None:
        return {}
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {f"{kind}Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
