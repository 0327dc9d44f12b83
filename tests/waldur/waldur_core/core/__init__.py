"""The base class of extensions, and what finds them."""

from importlib.metadata import entry_points


class WaldurExtension:
    """What an extension may say of itself."""

    class Settings:
        """Public attributes become settings of the host."""

    @staticmethod
    def update_settings(settings):
        """Change settings of the host."""

    @staticmethod
    def django_app():
        """The app to install."""
        raise NotImplementedError

    @staticmethod
    def django_urls():
        """Patterns at the root."""
        return []

    @staticmethod
    def rest_urls():
        """What registers viewsets in the router."""
        return lambda router: None

    @staticmethod
    def celery_tasks():
        """Entries of the beat schedule."""
        return {}

    @staticmethod
    def is_assembly():
        """Whether it comes last."""
        return False

    @classmethod
    def get_extensions(cls):
        """Every extension that is installed."""
        for entry_point in entry_points(group="waldur_extensions"):
            yield entry_point.load()
