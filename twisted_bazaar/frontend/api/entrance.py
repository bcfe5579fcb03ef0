"""Where each request passes before it calls anything: who its client is, whether it may, and how
many there were."""

import attrs

from twisted_bazaar.access import Permission
from twisted_bazaar.frontend.access.gate import Gate
from twisted_bazaar.frontend.limits.admission import Admission
from twisted_bazaar.http.refusals import Refusal
from twisted_bazaar.http.site import BazaarRequest

__all__ = ["Entrance"]


@attrs.frozen
class Entrance:
    """`gate` asks for API keys (None: all may do all), and `admission` limits the rate of requests
    (None: none is limited)."""

    gate: Gate | None = None
    admission: Admission | None = None

    def admit(
        self, request: BazaarRequest, permission: Permission | None, counts: bool = True
    ) -> None:
        """Let `request` pass, which needs `permission`. One that passes counts if `counts`, and it
        needs one; one that may not always does. Raises `Refusal`."""
        admission = self.admission
        if self.gate is not None:
            try:
                self.gate.admit(request, permission)
            except Refusal:
                # It counts for its address: API keys are not tried without end.
                if admission is not None:
                    admission.admit(request)
                raise
        if admission is not None and counts and permission is not None:
            admission.admit(request)

    def admit_operator(self, request: BazaarRequest) -> None:
        """The same for what only operators may see. Only one that may not counts: figures are
        wanted most when there are too many requests."""
        self.admit(request, Permission.OPERATE, counts=False)
