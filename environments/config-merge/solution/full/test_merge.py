import unittest

from layered import InterpolationError, Layer, merge


class Merge(unittest.TestCase):
    def test_directives_and_history(self):
        resolved = merge([Layer("a", {"x": {"y": [1]}}), Layer("b", {"x": {"y+": [2]}})])
        self.assertEqual(resolved.data, {"x": {"y": [1, 2]}})
        self.assertEqual([step.action for step in resolved.history("x.y")], ["set", "append"])

    def test_references(self):
        resolved = merge([Layer("a", {"x": "${y.z}", "y": {"z": 1}})])
        self.assertEqual(resolved.get("x"), 1)
        with self.assertRaises(InterpolationError):
            merge([Layer("a", {"x": "${y}", "y": "${x}"})])


if __name__ == "__main__":
    unittest.main()
