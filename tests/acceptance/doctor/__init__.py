"""Sites with and without something wrong with them, for the tests of `manage.py chat_doctor`."""
