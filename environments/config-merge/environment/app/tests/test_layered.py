import tempfile
import unittest
from pathlib import Path

from layered import ConfigError, Layer, env_layer, merge_flat, read_layer


class Sources(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.toml")
            path.write_text("[db]\nport = 1\n")
            self.assertEqual(read_layer(path), Layer("a.toml", {"db": {"port": 1}}))
            path.write_text("port 1")
            with self.assertRaises(ConfigError):
                read_layer(path)

    def test_environment(self):
        layer = env_layer({"APP__DB__PORT": "5432", "APP__NAME": "shop", "HOME": "/"})
        self.assertEqual(layer.data, {"db": {"port": 5432}, "name": "shop"})


class Flat(unittest.TestCase):
    def test_sections_replace_each_other(self):
        layers = [Layer("a", {"db": {"host": "x", "port": 1}}), Layer("b", {"db": {"host": "y"}})]
        self.assertEqual(merge_flat(layers), {"db": {"host": "y"}})


if __name__ == "__main__":
    unittest.main()
