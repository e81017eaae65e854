import unittest

from contacts.dedupe import dedupe, email_key, phone_key
from contacts.table import Table


class Keys(unittest.TestCase):
    def test_email(self):
        self.assertEqual(email_key("Ann+x@Example.org"), "email:ann@example.org")
        self.assertIsNone(email_key("n/a"))

    def test_phone(self):
        for cell in ("020 7946 0018", "+44 (0)20 7946 0018", "0044 20 7946 0018"):
            self.assertEqual(phone_key(cell, "44"), "phone:442079460018")


class Dedupe(unittest.TestCase):
    def test_gaps_are_filled(self):
        rows = [{"email": "a@b.org", "city": "York"}, {"email": "A@b.org", "city": ""}]
        merged, contacts = dedupe(Table(["email", "city"], rows), "44")
        self.assertEqual(merged.rows, [{"email": "A@b.org", "city": "York"}])
        self.assertEqual(contacts[0].numbers, [1, 2])


if __name__ == "__main__":
    unittest.main()
