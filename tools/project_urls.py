"""Build hook: the addresses of [project.urls], from the one `url` in pyproject.toml."""

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):
    def update(self, metadata: dict) -> None:
        url = self.config["url"].rstrip("/")
        metadata["urls"] = {"Homepage": url, "Issues": f"{url}/issues", "Changelog": f"{url}/blob/main/CHANGELOG.md"}
