"""`email`: send one message by the configured backend."""

import re
import smtplib

from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done, Fail, Retry
from orchestrator.steps.email.config import MOST_RECIPIENTS, EmailConfig
from orchestrator.steps.faults import fault
from orchestrator.steps.kind import Kind

# Everything that a mail header could be ended with, by any of the libraries on the way (str.splitlines).
_BREAK = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ADDRESS = re.compile(r'[^\s@<>()\[\],;:\\"]{1,64}@[^\s@<>()\[\],;:\\"]{1,255}')


class Email(Kind[EmailConfig]):
    """Sent at least once: a crash between sending and committing sends it again."""

    kind = "email"
    group: Group = "do"
    name = "E-mail"
    description = "Sends a message."
    icon = "mail"
    config = EmailConfig
    effects: Effects = "external"

    def run(self, config: EmailConfig, context: StepContext) -> Done | Fail | Retry:
        to = config.recipients()
        refused = _refusal(to, config.subject)
        if refused:
            return refused
        try:
            identity = context.mail.send(to=to, subject=config.subject, text=config.text, html=config.html)
        except ValueError:
            return _header_refused("a header")
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPNotSupportedError):
            return Fail(fault("mail_refused", f"The mail server refused the message to {', '.join(to)}."))
        except OSError as error:  # smtplib's other errors are OSErrors, too
            return Retry(fault("mail_unavailable", f"The mail server could not be used ({type(error).__name__})."))
        return Done({"message_id": identity})


def _refusal(to: tuple[str, ...], subject: str) -> Fail | None:
    if _BREAK.search(subject):
        return _header_refused("the subject")
    if any(_BREAK.search(address) for address in to):
        return _header_refused("an address")
    if not to or len(to) > MOST_RECIPIENTS:
        return Fail(fault("mail_address", f"The message has {len(to)} recipients; give 1 to {MOST_RECIPIENTS}."))
    wrong = next((address for address in to if not _ADDRESS.fullmatch(address)), None)
    if wrong is not None:
        return Fail(fault("mail_address", f"{wrong[:80]!r} is not an address like name@example.org."))
    return None


def _header_refused(what: str) -> Fail:
    return Fail(fault("mail_header", f"A line break or control character stands in {what}. Remove it."))
