"""One workspace of the running product, its people, and their browser windows."""

import re
from typing import Any

from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, expect

from orchestrator.core.actor import Actor
from orchestrator.models import User
from orchestrator.services.signin import create_signin_link
from tests.browser.complaints import Complaints
from tests.browser.web import Web
from tests.factories import actor_of, make_member, make_user, make_workspace

PATIENCE = 10_000  # milliseconds: of every expectation; the machine may be building something else beside

expect.set_options(timeout=PATIENCE)


class Site:
    """A workspace for one test."""

    def __init__(self, web: Web, browser: Browser) -> None:
        self.web = web
        self.address = web.address
        self.browser = browser
        self.workspace = make_workspace(name="Travel desk")
        self.slug = self.workspace.slug
        self.complaints = Complaints()
        self.contexts: list[BrowserContext] = []

    def url(self, path: str = "") -> str:
        """The path of a page of this workspace."""
        return f"/w/{self.slug}/{path}"

    def member(self, name: str, *roles: str) -> User:
        """A person of the workspace. People stay until the last browser test, so a name may be known already."""
        known = User.objects.filter(username=name).first() or make_user(name, email=f"{name}@example.org")
        return make_member(self.workspace, *roles, user=known)

    def actor(self, user: User) -> Actor:
        """The person as the services know them."""
        return actor_of(self.workspace, user)

    def anonymous(self, *, width: int = 1440, height: int = 900, scheme: str = "light", **options: Any) -> Page:
        """A window of its own, with nobody signed in."""
        context = self.browser.new_context(
            base_url=self.address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        self.complaints.listen(context)
        self.contexts.append(context)
        return context.new_page()

    def page_of(self, user: User, **options: Any) -> Page:
        """A window of this person, signed in by a one-time link; options as of `anonymous`."""
        page = self.anonymous(**options)
        page.goto(create_signin_link(user))
        page.get_by_role("button", name="Sign in to Branchline").click()
        expect(page).not_to_have_url(re.compile("/signin/"))
        return page

    def close(self) -> None:
        """Close every window, then say what the browser complained about."""
        for context in self.contexts:
            context.close()
        # Under Playwright's loop this thread has a connection of its own, which would keep the database from going.
        connection.close()
        self.complaints.check()
