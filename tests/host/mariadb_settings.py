"""Settings of the host project on MariaDB, by PyMySQL.

`WALDUR_CHAT_DB` is the name of a database, `WALDUR_CHAT_TEST_MARIADB` the server's HOST:PORT.
"""

import os

import pymysql

from tests.host.settings import *  # noqa: F403

pymysql.version_info = (2, 2, 4, "final", 0)  # Django asks for a release of mysqlclient.
pymysql.install_as_MySQLdb()

HOST, _, PORT = os.environ["WALDUR_CHAT_TEST_MARIADB"].partition(":")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": os.environ["WALDUR_CHAT_DB"].partition("//")[2],
        "USER": "root",
        "HOST": HOST,
        "PORT": PORT,
        "OPTIONS": {"charset": "utf8mb4"},
    }
}
