"""Telling the world of an alarm: a command, a webhook."""

import hashlib
import http.client
import json
import math
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from tempfile import TemporaryFile
from typing import Final
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

ATTEMPTS: Final = 4
"""How often a webhook is tried before it has failed."""


@dataclass(frozen=True)
class AlarmNotice:
    """An alarm in words and numbers, for people and programs outside."""

    series: str
    step: int
    """Checkpoint at which it was raised."""
    bank: str
    alarm: str
    """As it was written, such as ``fall>0.25 within 5``."""
    probability: float
    """Posterior probability of such a change."""
    state: str
    """What has become of it: raised, confirmed, ..."""
    ability: float
    sd: float
    baseline: float
    """Ability that it is measured against."""
    message: str
    """One sentence for people."""
    report: str = ""
    """Path of the report of the series."""

    @property
    def key(self) -> str:
        """The same for the same alarm in the same state, whatever its numbers are by now."""
        named = json.dumps([self.series, self.step, self.bank, self.alarm, self.state])
        return hashlib.sha256(named.encode()).hexdigest()[:32]

    @property
    def payload(self) -> str:
        """All of it as JSON, the sentence also as ``text``, which is what chats show.

        >>> notice = AlarmNotice("s", 7, "odcv", "fall>0.5 since first", 0.99, "raised",
        ...     -0.8, 0.3, 0.2, "Safety fell.")
        >>> json.loads(notice.payload)["text"], json.loads(notice.payload)["step"]
        ('Safety fell.', 7)
        """
        fields = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps({"text": self.message, **fields}, ensure_ascii=False)


def notify(
    alarm: AlarmNotice,
    *,
    command: str,
    webhook: str,
    say: Callable[[str], None],
    done: Collection[str] = (),
    command_timeout: float = 60.0,
    timeout: float = 10.0,
    pause: float = 1.0,
) -> tuple[str, ...]:
    """Tell a command and a webhook of an alarm; what fails is said and never raised.

    Args:
        alarm: what to tell.
        command: for the shell, with the JSON on its input and ``CAT_HARNESS_SERIES``, ``_STEP``,
            ``_BANK``, ``_ALARM``, ``_PROBABILITY`` and ``_STATE`` in its environment; may be empty.
        webhook: an http(s) URL that gets the JSON by POST; may be empty. It is tried again where
            it cannot be reached or answers 5xx, always with the same ``Idempotency-Key``.
        say: is told of failures; of a webhook it hears the host only, as the rest is often secret.
        done: what was reached earlier and is left alone.
        command_timeout: seconds that the command may take.
        timeout: seconds that a webhook may take to answer.
        pause: seconds before its second attempt; they double.

    Returns:
        What has been reached by now, of "command" and "webhook". What is missing can be tried
        again with this as ``done``.
    """
    ways: dict[str, Callable[[], str | None]] = {}
    if command:
        ways["command"] = lambda: _run(alarm, command, command_timeout)
    if webhook:
        ways["webhook"] = lambda: _post(alarm, webhook, timeout, pause)
    problems = {name: None if name in done else tell() for name, tell in ways.items()}
    for name, problem in problems.items():
        if problem is not None:
            say(
                f"alarm {alarm.alarm} of {alarm.series} at step {alarm.step}: the {name} was not "
                f"told: {problem}"
            )
    return tuple(name for name, problem in problems.items() if problem is None)


def _run(alarm: AlarmNotice, command: str, timeout: float) -> str | None:
    variables = {
        "SERIES": alarm.series,
        "STEP": str(alarm.step),
        "BANK": alarm.bank,
        "ALARM": alarm.alarm,
        "PROBABILITY": f"{alarm.probability:.6g}",
        "STATE": alarm.state,
    }
    # Files, not pipes: a pipe waits for whatever the command leaves running, and for readers.
    with TemporaryFile() as given, TemporaryFile() as output:
        given.write(alarm.payload.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                shell=True,
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {f"CAT_HARNESS_{name}": text for name, text in variables.items()},
            )
        except (OSError, ValueError) as error:
            return f"it cannot be started: {error}"
        try:
            code = process.wait(timeout=timeout)
            problem = f"it ended with exit code {code}"
        except subprocess.TimeoutExpired:
            code = None
            problem = f"it did not end within {timeout:g} s and was killed"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if code == 0:
            return None
        output.seek(0)
        end = output.read().decode(errors="replace").strip()[-500:]
        return f"{problem}; it printed: {end or 'nothing'}"


class _Unreached(Exception):
    """Worth another attempt."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would go on as a GET without its content."""

    def redirect_request(self, *args: object) -> None:
        return None


def _post(alarm: AlarmNotice, webhook: str, timeout: float, pause: float) -> str | None:
    # Of the standard library, because it logs no URL.
    try:
        parts = urlsplit(webhook)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "its URL has to begin with http:// or https:// and name a host"
        request = urllib.request.Request(
            webhook,
            data=alarm.payload.encode(),
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "Idempotency-Key": alarm.key,
                "User-Agent": "cat-harness",
            },
            method="POST",
        )
    except ValueError:
        return "its URL cannot be read"
    opener = urllib.request.build_opener(_NoRedirect)

    def attempt() -> str | None:
        try:
            with opener.open(request, timeout=timeout):
                return None
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500:
                    raise _Unreached(f"answered {error.code}") from None
                return f"{parts.hostname} answered {error.code}"
        except urllib.error.URLError as error:
            raise _Unreached(f"cannot be reached ({error.reason})") from None
        except (OSError, http.client.RemoteDisconnected) as error:
            raise _Unreached(f"cannot be reached ({error})") from None
        except (ValueError, http.client.HTTPException) as error:
            # Their texts may repeat the URL.
            return f"{parts.hostname}: {type(error).__name__}"

    try:
        return Retrying(
            retry=retry_if_exception_type(_Unreached),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=pause, max=30.0),
            reraise=True,
        )(attempt)
    except _Unreached as error:
        return f"{parts.hostname} {error}, {ATTEMPTS} times"
