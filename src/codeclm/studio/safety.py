"""Who may ask the studio, and what a browser may do with its answers.

Contract. A request is looked at before any handler sees it:

- The host it names must be one that is served, so that no page elsewhere reaches the studio under a name of its own
  (DNS rebinding).
- What another site begins is refused, but for a link that opens a page of ours as the whole window.
- Where there is a token (any address but loopback demands one), the browser must have shown it: once in the address,
  compared in constant time and exchanged for a cookie by a redirect that drops it from the address.
- A request that changes something must come from a page of ours: by what the browser says of its origin, and by a token
  in the form that is bound to the browser's session.

Every answer has a content security policy that lets nothing run, load or be framed but our own files.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware

from codeclm.errors import ConfigError
from codeclm.studio.handling import CSRF, SESSION

TOKEN_VARIABLE: Final = "CODECLM_STUDIO_TOKEN"  # noqa: S105 (the variable's name)
SHORTEST_TOKEN: Final = 16  # characters
CSRF_HEADER: Final = "Studio-Csrf"

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with that a form's Origin is `null`, and where there is no TLS (a token and an address in the
    # local network) that is all there is to tell where a form comes from. No other host is ever told.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "codeclm",
}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_METHODS: Final = ("GET", "HEAD", "POST")

_NO_FORM: Final = (400, "The form can't be read. Go back, reload the page, and send it again.")
_FOREIGN_FORM: Final = (
    403,
    "This form is from before the studio was started, or from elsewhere. Go back and reload.",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Door:
    """Where the studio listens, and the token that is asked for; an empty one is for loopback alone.

    ``secret`` signs sessions and forms; it is new at each start. ``names`` are further names the host is known by.
    """

    host: str = "127.0.0.1"
    token: str = field(default="", repr=False)
    names: frozenset[str] = frozenset()
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        if not self.token and not is_loopback(self.host):
            raise ConfigError(f"--host {self.host}: other machines reach this address, so the studio needs a token.")
        if self.token and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            raise ConfigError(
                f"{TOKEN_VARIABLE}: expected at least {SHORTEST_TOKEN} ASCII characters. Without it one is made."
            )

    def serves(self, name: str) -> bool:
        """Whether a request may name this host."""
        if name in _LOOPBACK_NAMES or name == self.host.lower():
            return True
        if is_loopback(self.host):
            return name in self.names
        # A page elsewhere can make a name of its own lead here, but not an address.
        return name in self.names or name == socket.gethostname().lower() or _is_ip(name)

    def signed(self, purpose: str, text: str) -> str:
        """A signature of ``text`` that only this start of the studio can make."""
        return hmac.new(self.secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that can't be guessed."""
    return secrets.token_urlsafe(24)


def protect(app: web.Application, door: Door) -> None:
    """Put the guard before everything in ``app``, and the headers on all its answers."""
    app.middlewares.insert(0, _guard(door))
    app.on_response_prepare.append(_with_headers)


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


def _guard(door: Door) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if refusal := _refusal(request, door):
            return _told(*refusal)
        cookie = f"codeclm-studio-{_port(request)}"
        session = _session(request.cookies.get(cookie, ""), door)
        if door.token and "token" in request.query:
            return _let_in(request, door, cookie)
        if session is None and door.token:
            return _told(401, "Open the address that `codeclm studio` printed when it started: it holds the token.")
        fresh = session is None
        session = session or secrets.token_urlsafe(18)
        request[SESSION], request[CSRF] = session, door.signed("csrf", session)
        if request.method == "POST":
            if fresh or not await _can_be_read(request):
                return _told(*(_FOREIGN_FORM if fresh else _NO_FORM))
            if not await _has_csrf(request):
                return _told(*_FOREIGN_FORM)
        response = await handler(request)
        if fresh and not response.prepared and not request.path.startswith("/static/"):
            _give(response, cookie, session, door)
        return response

    return guard


def _refusal(request: web.Request, door: Door) -> tuple[int, str] | None:
    """Why nobody may ask this from where it comes; None where somebody may."""
    name = _host_name(request)
    if name is None or not door.serves(name):
        return 421, "The studio is not served under this name. Use the address that `codeclm studio` printed."
    if request.method not in _METHODS:
        return 405, "The studio answers GET and POST."
    site = request.headers.get("Sec-Fetch-Site")
    if request.method == "POST":
        if not _from_own_page(request, site):
            return 403, "Refused: another site asked for this."
    elif site not in (None, "none", "same-origin"):
        opens = request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")
        if opens != ("navigate", "document"):
            return 403, "Refused: another site asked for this."
    return None


def _from_own_page(request: web.Request, site: str | None) -> bool:
    """Whether what the browser says of a form's origin is ours. A client that says nothing is refused."""
    if site not in (None, "same-origin"):
        return False
    origin = request.headers.get("Origin")
    if origin is None or origin == "null":
        return site == "same-origin"
    return urlsplit(origin).netloc == request.host


def _let_in(request: web.Request, door: Door, cookie: str) -> web.Response:
    """The answer to an address with a token in it."""
    if not hmac.compare_digest(request.query["token"].encode(), door.token.encode()):
        return _told(401, "The token in this address is not the studio's. It changes when the studio is started anew.")
    wanted = str(request.rel_url.without_query_params("token")).lstrip("/\\")  # with two slashes it is another host
    answer = web.Response(status=303, headers={"Location": f"/{wanted}"})
    _give(answer, cookie, secrets.token_urlsafe(18), door)
    return answer


def _give(response: web.StreamResponse, cookie: str, session: str, door: Door) -> None:
    value = f"{session}.{door.signed('session', session)}"
    response.set_cookie(cookie, value, path="/", httponly=True, samesite="Strict")


def _session(value: str, door: Door) -> str | None:
    """The session that a cookie of ours names; None where it is no cookie of this start."""
    session, _, signature = value.partition(".")
    if not session or not value.isascii():
        return None
    return session if hmac.compare_digest(signature, door.signed("session", session)) else None


async def _can_be_read(request: web.Request) -> bool:
    """Whether the body is the form that it is said to be. Handlers get what is read here."""
    try:
        await request.post()
    except (ValueError, LookupError, RuntimeError, HttpProcessingError):
        return False
    return True


async def _has_csrf(request: web.Request) -> bool:
    given = request.headers.get(CSRF_HEADER)
    if given is None:
        given = str((await request.post()).get("csrf", ""))
    return hmac.compare_digest(given.encode(errors="replace"), request[CSRF].encode())


def _host_name(request: web.Request) -> str | None:
    """The host that a request names, without its port, in lower case."""
    try:
        return urlsplit(f"//{request.host}").hostname
    except ValueError:
        return None


def _port(request: web.Request) -> int:
    """The port as the browser sees it: cookies of one host are seen by all its ports."""
    try:
        return urlsplit(f"//{request.host}").port or 80
    except ValueError:
        return 80


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _told(status: int, text: str) -> web.Response:
    return web.Response(status=status, reason=HTTPStatus(status).phrase, text=f"{text}\n", content_type="text/plain")
