"""What acceptance tests share with the tests of pages."""

from __future__ import annotations

from tests.browser.conftest import chromium as chromium
