import copy
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

APP = "/app"


class Case(unittest.TestCase):
    def setUp(self):
        sys.path.insert(0, APP)
        import layered

        self.layered = layered

    def merge(self, *mappings):
        """Merge layers called a, b, c, ..."""
        return self.layered.merge(
            [self.layered.Layer(chr(97 + n), data) for n, data in enumerate(mappings)]
        )

    def steps(self, resolved, path):
        return [(step.layer, step.action, step.value) for step in resolved.history(path)]

    def fails(self, error, *mappings):
        with self.assertRaises(getattr(self.layered, error)) as caught:
            self.merge(*mappings)
        self.assertIsInstance(caught.exception, self.layered.ConfigError)
        return caught.exception


class DeepMerge(Case):
    milestone = 1

    def test_mappings_are_merged_key_by_key(self):
        resolved = self.merge(
            {"db": {"host": "x", "port": 1, "pool": {"size": 5}}, "name": "shop"},
            {"db": {"host": "y", "pool": {"idle": 2}}, "debug": True},
        )
        self.assertEqual(
            resolved.data,
            {
                "db": {"host": "y", "port": 1, "pool": {"size": 5, "idle": 2}},
                "name": "shop",
                "debug": True,
            },
        )

    def test_get(self):
        resolved = self.merge({"db": {"host": "x", "port": 1}}, {"db": {"port": 2}})
        self.assertEqual(resolved.get("db.port"), 2)
        self.assertEqual(resolved.get(("db", "host")), "x")
        self.assertEqual(resolved.get("db"), {"host": "x", "port": 2})
        self.assertEqual(resolved.get("db.none", 7), 7)

    def test_origin(self):
        resolved = self.merge({"db": {"host": "x", "port": 1}}, {"db": {"port": 2}}, {"z": 1})
        self.assertEqual(resolved.origin("db.host"), "a")
        self.assertEqual(resolved.origin("db.port"), "b")
        self.assertEqual(resolved.origin(("z",)), "c")

    def test_lists_replace_lists(self):
        resolved = self.merge({"x": [1, 2], "y": 1}, {"x": [3], "y": "one"})
        self.assertEqual(resolved.data, {"x": [3], "y": "one"})


class Removing(Case):
    milestone = 2

    def test_null(self):
        resolved = self.merge({"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 4}}, {"b": {"c": None}})
        self.assertEqual(resolved.data, {"a": 1, "b": {"d": 3}, "e": {"f": 4}})
        resolved = self.merge({"a": 1, "e": {"f": 4}}, {"e": None, "none": None})
        self.assertEqual(resolved.data, {"a": 1})

    def test_missing(self):
        resolved = self.merge({"a": 1, "b": {"c": 2}}, {"a": None})
        for member in (resolved.get, resolved.origin):
            for path in ("a", "b.d", "a.b", "b.c.d"):
                with self.assertRaises(self.layered.MissingError):
                    member(path)


class Directives(Case):
    milestone = 2

    def test_append(self):
        resolved = self.merge({"x": [1], "s": {"y": []}}, {"x+": [2, 3], "s": {"y+": [4]}})
        self.assertEqual(resolved.data, {"x": [1, 2, 3], "s": {"y": [4]}})
        self.assertEqual(resolved.origin("x"), "b")

    def test_append_to_nothing(self):
        self.assertEqual(self.merge({}, {"x+": ["a"]}).data, {"x": ["a"]})

    def test_remove(self):
        self.assertEqual(
            self.merge({"x": ["a", "b", "a", "c"]}, {"x-": ["a", "d"]}).data, {"x": ["b", "c"]}
        )

    def test_replace(self):
        resolved = self.merge(
            {"db": {"host": "x", "port": 1}, "log": 1}, {"db!": {"host": "y"}, "log!": {"level": 2}}
        )
        self.assertEqual(resolved.data, {"db": {"host": "y"}, "log": {"level": 2}})
        self.assertEqual(resolved.origin("log.level"), "b")

    def test_operands(self):
        for first, second in (
            ({"s": {"x": 1}}, {"s": {"x+": [2]}}),
            ({"s": {"x": [1]}}, {"s": {"x+": 2}}),
            ({"s": {"x": {}}}, {"s": {"x-": [2]}}),
        ):
            error = self.fails("DirectiveError", first, second)
            self.assertEqual((error.path, error.layer), (("s", "x"), "b"))


class Conflicts(Case):
    milestone = 2

    def test_mapping_against_value(self):
        for first, second in ((1, {"y": 1}), ({"y": 1}, 1), ([{"y": 1}], {"y": 2})):
            error = self.fails("ConflictError", {"s": {"x": first}}, {}, {"s": {"x": second}})
            self.assertEqual((error.path, error.layer), (("s", "x"), "c"))
            self.assertIn("s.x", str(error))


class History(Case):
    milestone = 2

    def test_steps(self):
        resolved = self.merge(
            {"s": {"x": [1]}},
            {"s": {"x+": [2]}},
            {"other": 1},
            {"s": {"x-": [1]}},
            {"s": {"x": None}},
            {"s": {"x": 5}},
        )
        self.assertEqual(
            self.steps(resolved, "s.x"),
            [
                ("a", "set", [1]),
                ("b", "append", [1, 2]),
                ("d", "remove", [2]),
                ("e", "delete", None),
                ("f", "set", 5),
            ],
        )
        self.assertEqual(resolved.origin("s.x"), "f")
        self.assertEqual(resolved.history("s.y"), [])
        self.assertEqual(
            resolved.history("other"), [self.layered.Step(layer="c", action="set", value=1)]
        )


class References(Case):
    milestone = 2

    def test_text_and_types(self):
        resolved = self.merge(
            {
                "db": {"host": "x", "port": 1, "url": "pg://${db.host}:${db.port}/"},
                "port": "${db.port}",
                "all": "${db}",
                "hosts": ["${db.host}", {"debug": "${debug}!"}],
                "debug": False,
            },
            {"db": {"host": "y"}, "debug": True},
        )
        db = {"host": "y", "port": 1, "url": "pg://y:1/"}
        self.assertEqual(
            resolved.data,
            {"db": db, "port": 1, "all": db, "hosts": ["y", {"debug": "true!"}], "debug": True},
        )
        self.assertEqual(self.steps(resolved, "port"), [("a", "set", "${db.port}")])

    def test_chain_and_escape(self):
        resolved = self.merge({"a": "<${b}>", "b": "${c}", "c": "x", "d": "$${c} ${c}"})
        self.assertEqual(resolved.data, {"a": "<x>", "b": "x", "c": "x", "d": "${c} x"})

    def test_unknown_path(self):
        error = self.fails("InterpolationError", {"s": {"x": "a ${s.none}"}})
        self.assertEqual(error.path, ("s", "x"))
        self.assertIn("s.none", str(error))


class ValueEdges(Case):
    milestone = 3

    def test_falsy_values(self):
        falsy = {"i": 0, "b": False, "s": "", "l": []}
        resolved = self.merge(dict.fromkeys(falsy, 1), falsy)
        self.assertEqual(resolved.data, falsy)
        for key, value in falsy.items():
            self.assertEqual(resolved.get(key), value)
            self.assertEqual(resolved.get(key, "default"), value)
            self.assertEqual(resolved.origin(key), "b")
        self.assertIsNone(resolved.get("none", None))

    def test_no_layers_and_empty_mappings(self):
        self.assertEqual(self.layered.merge(iter([])).data, {})
        resolved = self.merge({"x": {"y": 1}, "z": {}}, {"x": {}}, {"x": {"y": None}})
        self.assertEqual(resolved.data, {"x": {}, "z": {}})
        self.fails("ConflictError", {"x": {}}, {"x": 1})

    def test_keys_with_points(self):
        resolved = self.merge({"a.b": {"c": 1}, "a": {"b": {"c": 2}}}, {"a.b": {"c": 3}})
        self.assertEqual(resolved.get(("a.b", "c")), 3)
        self.assertEqual(resolved.get("a.b.c"), 2)
        self.assertEqual((resolved.origin(("a.b", "c")), resolved.origin("a.b.c")), ("b", "a"))

    def test_none_in_lists(self):
        resolved = self.merge({"x": [None, 1, {"y": None, "z+": [2]}]}, {"x+": [None]})
        self.assertEqual(resolved.data, {"x": [None, 1, {"y": None, "z+": [2]}, None]})

    def test_coming_back_as_a_mapping(self):
        resolved = self.merge({"x": 1}, {"x": None}, {"x": {"y": 2}}, {"x": None}, {"x": 3})
        self.assertEqual(resolved.data, {"x": 3})
        self.assertEqual(
            self.steps(resolved, "x"), [("a", "set", 1), ("b", "delete", None), ("e", "set", 3)]
        )
        self.assertEqual(self.steps(resolved, "x.y"), [("c", "set", 2), ("d", "delete", None)])

    def test_origin_of_a_mapping(self):
        with self.assertRaises(self.layered.MissingError):
            self.merge({"x": {"y": 1}}).origin("x")


class DirectiveEdges(Case):
    milestone = 3

    def test_equality_is_strict(self):
        resolved = self.merge(
            {"x": [1, 1.0, True, 0, False, [1], [True], {"k": 1}, {"k": 1.0}, "1"]},
            {"x-": [True, 0, [1], {"k": 1.0}]},
        )
        self.assertEqual(
            [(type(one), one) for one in resolved.get("x")],
            [
                (int, 1),
                (float, 1.0),
                (bool, False),
                (list, [True]),
                (dict, {"k": 1}),
                (str, "1"),
            ],
        )
        self.assertIs(type(resolved.get("x")[3][0]), bool)

    def test_nothing_below(self):
        resolved = self.merge({"x": {"a+": [1], "b": None, "c-": [1], "d": {"e!": 2, "f": None}}})
        self.assertEqual(resolved.data, {"x": {"a": [1], "d": {"e": 2}}})
        self.assertEqual(self.steps(resolved, "x.a"), [("a", "append", [1])])
        self.assertEqual(resolved.history("x.b") + resolved.history("x.c"), [])

    def test_inside_a_replacement(self):
        resolved = self.merge({"x": {"a": [1], "b": 2}}, {"x!": {"a+": [3], "b": None, "c": 4}})
        self.assertEqual(resolved.data, {"x": {"a": [3], "c": 4}})
        self.assertEqual(self.steps(resolved, "x.b"), [("a", "set", 2), ("b", "delete", None)])

    def test_history_of_replacement_and_removal(self):
        resolved = self.merge(
            {"x": {"a": 1, "b": {"c": 2}}, "y": {"z": 1}}, {"x!": {"a": 1}}, {"x!": 5, "y!": None}
        )
        self.assertEqual(resolved.data, {"x": 5})
        self.assertEqual(
            self.steps(resolved, "x.a"),
            [("a", "set", 1), ("b", "set", 1), ("c", "delete", None)],
        )
        self.assertEqual(self.steps(resolved, "x.b.c"), [("a", "set", 2), ("b", "delete", None)])
        self.assertEqual(self.steps(resolved, "x"), [("c", "set", 5)])
        self.assertEqual(self.steps(resolved, "y.z"), [("a", "set", 1), ("c", "delete", None)])

    def test_remove_then_append(self):
        resolved = self.merge({"x": [1, 2]}, {"x+": [1, 3], "x-": [1]})
        self.assertEqual(resolved.data, {"x": [2, 1, 3]})
        self.assertEqual(
            self.steps(resolved, "x"),
            [("a", "set", [1, 2]), ("b", "remove", [2]), ("b", "append", [2, 1, 3])],
        )

    def test_nothing_removed_is_no_step(self):
        resolved = self.merge({"x": [1]}, {"x-": [2], "y-": [1]})
        self.assertEqual(resolved.data, {"x": [1]})
        self.assertEqual(resolved.origin("x"), "a")

    def test_forms_that_exclude_each_other(self):
        for mapping in ({"x": [], "x+": []}, {"x!": [], "x-": []}, {"x": 1, "x!": 2}):
            error = self.fails("DirectiveError", {"x": []}, {"s": mapping})
            self.assertEqual((error.path, error.layer), (("s", "x"), "b"))

    def test_single_characters_are_keys(self):
        mapping = {"+": 1, "-": {"a": 2}, "!": [3]}
        self.assertEqual(self.merge(mapping, {"-": {"b": 4}}).get(("-", "b")), 4)
        self.assertEqual(self.merge(mapping).data, mapping)


class ReferenceEdges(Case):
    milestone = 3

    def test_cycles(self):
        error = self.fails("InterpolationError", {"x": {"one": "${two}"}, "two": "-${x.one}-"})
        self.assertIn("x.one", str(error))
        self.assertIn("two", str(error))
        self.assertEqual(self.fails("InterpolationError", {"x": "${x}"}).path, ("x",))
        error = self.fails("InterpolationError", {"db": {"self": ["${db}"]}})
        self.assertEqual(error.path, ("db", "self"))

    def test_the_same_value_twice_is_no_cycle(self):
        resolved = self.merge({"a": "${b}${b}", "b": "${c}", "c": "x", "d": ["${b}", "${a}"]})
        self.assertEqual(resolved.data, {"a": "xx", "b": "x", "c": "x", "d": ["x", "xx"]})

    def test_through_another_reference(self):
        resolved = self.merge({"db": {"host": "x"}}, {"copy": "${db}", "h": "${copy.host}"})
        self.assertEqual(resolved.get("h"), "x")
        self.assertEqual(resolved.get("copy.host"), "x")
        self.assertEqual(resolved.origin("copy.host"), "b")
        self.assertEqual(self.steps(resolved, "copy.host"), [("b", "set", "${db}")])
        with self.assertRaises(self.layered.MissingError):
            resolved.origin("copy.none")

    def test_lists_and_mappings_in_text(self):
        for value in ([1], {"y": 1}):
            error = self.fails("InterpolationError", {"v": value, "s": {"x": "a${v}"}})
            self.assertEqual(error.path, ("s", "x"))

    def test_values_in_text(self):
        resolved = self.merge({"f": False, "n": 1.5, "z": 0, "e": "", "t": "${f},${n},${z},${e}."})
        self.assertEqual(resolved.get("t"), "false,1.5,0,.")

    def test_what_is_no_reference(self):
        text = "$ {a} $a } $5 {${ {x}"
        self.assertEqual(self.merge({"x": text}).get("x"), text)
        self.assertEqual(self.merge({"x": "$${x}", "y": "${x}!"}).get("y"), "${x}!")

    def test_deleted_values_are_unknown(self):
        self.fails("InterpolationError", {"a": 1, "b": "${a}"}, {"a": None})


class Aliasing(Case):
    milestone = 3

    def test_input_is_not_changed(self):
        layers = [{"x": {"y": [1]}, "z": [[0]]}, {"x": {"y+": [[2]]}, "w": "${x}"}]
        before = copy.deepcopy(layers)
        self.merge(*layers)
        self.assertEqual(layers, before)

    def test_nothing_is_shared(self):
        layers = [{"x": {"y": [[1]]}, "z": "${x}"}, {"x": {"y+": [[2]]}}, {"n!": {"m": [3]}}]
        resolved = self.merge(*layers)
        data = copy.deepcopy(resolved.data)
        layers[0]["x"]["y"][0].append(9)
        layers[1]["x"]["y+"][0].append(9)
        layers[2]["n!"]["m"].append(9)
        resolved.data["x"]["y"][0].append(9)
        resolved.get("x")["y"].append(9)
        resolved.get("x.y")[1].append(9)
        resolved.get("z.y").append(9)
        for step in resolved.history("x.y"):
            step.value[0].append(9)
        resolved.history("x.y").clear()
        self.assertEqual(resolved.data, data)
        self.assertEqual(resolved.get("x.y"), [[1], [2]])
        self.assertEqual(
            self.steps(resolved, "x.y"), [("a", "set", [[1]]), ("b", "append", [[1], [2]])]
        )


class StillWorks(Case):
    milestone = 3

    def test_flat_and_sources(self):
        layered = self.layered
        layers = [
            layered.Layer("a", {"x": {"y": 1}, "z+": [1]}),
            layered.Layer("b", {"x": {"w": None}}),
        ]
        self.assertEqual(layered.merge_flat(layers), {"x": {"w": None}, "z+": [1]})
        layer = layered.env_layer({"APP__A__B": "[1]", "APP__C": "x", "X__Y": "1"})
        self.assertEqual(layer, layered.Layer("environment", {"a": {"b": [1]}, "c": "x"}))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "l.json")
            path.write_text('{"a+": [1]}')
            self.assertEqual(layered.read_layer(path), layered.Layer("l.json", {"a+": [1]}))
            path.write_text("[]")
            with self.assertRaises(layered.ConfigError):
                layered.read_layer(path)

    def test_in_a_new_process(self):
        code = (
            "from pathlib import Path; import layered as l;"
            "names = ('defaults.toml', 'site.json');"
            "r = l.merge(l.read_layer(Path('examples', name)) for name in names);"
            "print(r.get('db.url'), r.get('plugins'), r.origin('db.host'))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=APP,
            env={**os.environ, "PYTHONPATH": APP},
            capture_output=True,
            text=True,
            timeout=8,
        )
        self.assertEqual(
            done.stdout.strip(),
            "postgres://db.internal:5432/shop ['auth', 'cache', 'metrics'] site.json",
            done.stderr,
        )
