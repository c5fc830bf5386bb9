"""Collections that neither the webhook nor an ordinary task needs: apart from `shared.repositories`, because each
record that a cold start imports costs it a millisecond."""

from __future__ import annotations

from shared.domain.bulk import Bulk
from shared.domain.categories import Category
from shared.domain.imports import Import
from shared.domain.plans import Plan
from shared.domain.removals import RemovalReason
from shared.domain.signal_chats import SignalChat
from shared.repositories import Repository

PLANS = Repository("plans", Plan, "plan")
REMOVAL_REASONS = Repository("removal_reasons", RemovalReason, "removal reason")
IMPORTS = Repository("imports", Import, "import")
BULKS = Repository("bulks", Bulk, "act on many people")
SIGNAL_CHATS = Repository("signal", SignalChat, "chat on Signal")
CATEGORIES = Repository("categories", Category, "category")
