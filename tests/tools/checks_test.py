#!/usr/bin/env python3
"""Proves that the checks in tools/ catch what they are there for: each is run on a small tree with one fault in it."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

import check_headers  # noqa: E402
import check_layers  # noqa: E402
import check_sizes  # noqa: E402
import check_words  # noqa: E402
import rfc_map  # noqa: E402
import source_text  # noqa: E402

CLEAN = {
    "src/base/bytes.hpp": "#pragma once\n#include <cstdint>\nstruct Bytes { std::uint8_t b; };\n",
    "src/model/spi.hpp": '#pragma once\n#include "base/bytes.hpp"\n',
    "src/ike/face.hpp": '#pragma once\n#include "model/spi.hpp"\n',
    "src/ike/codec/reader.hpp": '#pragma once\n#include "model/spi.hpp"\n#include <fmt/format.h>\n',
    "src/ike/v2/endpoint.hpp": '#pragma once\n#include "ike/codec/reader.hpp"\n#include "ike/face.hpp"\n',
    "src/ipsec/sad.hpp": '#pragma once\n#include "model/spi.hpp"\n',
    "src/crypto/hash.cpp": "#include <openssl/evp.h>\n",
    "src/control/manager.cpp": '#include "ike/v2/endpoint.hpp"\n#include "ipsec/sad.hpp"\n',
    "src/ipsec/sad_test.cpp": '#include "ipsec/sad.hpp"\n#include <gtest/gtest.h>\n',
}


class Tree:
    """A source tree in a temporary folder, without git."""

    def __init__(self, files):
        self._folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self._folder.name)
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._folder.cleanup()


def run(check, files, *arguments):
    """(exit code, printed text) of a check on a tree."""
    with Tree(files) as tree, contextlib.redirect_stdout(io.StringIO()) as printed:
        code = check.main(["--root", str(tree.root), *arguments])
    return code, printed.getvalue()


class Layers(unittest.TestCase):
    def fails(self, name, text, reason):
        code, printed = run(check_layers, CLEAN | {name: text})
        self.assertEqual(code, 1, f"{name} passed: {text!r}")
        self.assertIn(reason, printed)

    def test_clean_tree_passes(self):
        code, printed = run(check_layers, CLEAN)
        self.assertEqual(code, 0, printed)

    def test_includes_outside_the_row(self):
        self.fails("src/base/x.cpp", '#include "model/spi.hpp"\n', "base may not include")
        self.fails("src/ike/v2/x.cpp", '#include "ipsec/sad.hpp"\n', "ike/v2 may not include")
        self.fails("src/ipsec/x.cpp", '  #  include "ike/v2/endpoint.hpp"\n', "ipsec may not include")
        self.fails("src/ike/codec/x.cpp", '#include "ike/v2/endpoint.hpp"\n', "ike/codec may not include")
        self.fails("src/ike/x.cpp", '#include "ike/codec/reader.hpp"\n', "ike may not include")
        self.fails("src/io/x.cpp", '#include "ipsec/sad.hpp"\n', "io may not include")
        self.fails("src/cli/x.cpp", '#include "ipsec/sad.hpp"\n', "cli may not include")
        self.fails("src/load/x.cpp", '#include "ipsec/sad.hpp"\n', "load may not include")

    def test_tests_keep_the_row_of_their_layer(self):
        self.fails("src/ipsec/x_test.cpp", '#include "ike/face.hpp"\n', "ipsec may not include")

    def test_third_party_only_where_it_belongs(self):
        self.fails("src/ike/v2/x.cpp", "#include <openssl/evp.h>\n", "may be included only by crypto")
        self.fails("src/datapath/x.cpp", "#include <intel-ipsec-mb.h>\n", "may be included only by crypto")
        self.fails("src/control/x.cpp", "#include <spdlog/spdlog.h>\n", "may be included only by")
        self.fails("src/ipsec/x.cpp", "#include <gtest/gtest.h>\n", "may be included only by test")
        self.fails("src/model/x.cpp", "#include <absl/strings.h>\n", "is in no table")

    def test_operating_system_stays_outside(self):
        self.fails("src/net/x.cpp", "#include <netinet/in.h>\n", "operating-system header")
        self.fails("src/ike/v2/x.cpp", "#include <unistd.h>\n", "operating-system header")

    def test_pure_layers_have_no_clock_thread_or_socket(self):
        for header in ("thread", "mutex", "condition_variable", "ctime"):
            self.fails("src/ipsec/x.cpp", f"#include <{header}>\n", "no place in a pure layer")
        for text in ("auto t = std::chrono::steady_clock::now();", "std::mutex m;", "int fd = socket(1, 2, 3);",
                     "auto t = time(nullptr);", "std::jthread t;", "clock_gettime(0, &t);", "std::random_device d;"):
            for layer in ("ipsec", "ike", "ike/v2", "control"):
                self.fails(f"src/{layer}/x.cpp", f"void f() {{ {text} }}\n", "is pure")

    def test_words_in_comments_and_strings_are_not_code(self):
        text = '// steady_clock, std::mutex\n/* socket(1) */ const char* s = "std::thread";\nint n = 1\'000;\n'
        code, printed = run(check_layers, CLEAN | {"src/ipsec/x.cpp": text})
        self.assertEqual(code, 0, printed)

    def test_unknown_paths(self):
        self.fails("src/model/x.cpp", '#include "spi.hpp"\n', "is no path under src/")
        self.fails("src/model/x.cpp", '#include "../base/bytes.hpp"\n', "is no path under src/")
        self.fails("src/misc/x.cpp", "int i;\n", "belongs to no layer")

    def test_circle(self):
        code, printed = run(check_layers, CLEAN | {
            "src/model/a.hpp": '#include "model/b.hpp"\n', "src/model/b.hpp": '#include "model/a.hpp"\n'})
        self.assertEqual(code, 1)
        self.assertIn("include circle: model/a.hpp -> model/b.hpp -> model/a.hpp", printed)

    def test_table_has_no_circle_and_one_meeting_point(self):
        self.assertEqual(check_layers.check_table(), [])
        self.assertNotIn("ipsec", check_layers.reach("ike/v2"))
        self.assertFalse([x for x in check_layers.reach("ipsec") if x.startswith("ike")])
        self.assertEqual(check_layers.reach("daemon") | {"cli", "daemon", "load"}, set(check_layers.LAYERS))

    def test_cmake_links_only_the_row(self):
        code, printed = run(check_layers, CLEAN | {
            "src/CMakeLists.txt": "culvert_layer(ike_v2 DIR ike/v2\n  DEPS ike_codec ipsec base LIBS Threads::Threads)\n"})
        self.assertEqual(code, 1)
        self.assertIn("culvert_layer(ike_v2) links ipsec", printed)


class Sizes(unittest.TestCase):
    def test_limit(self):
        self.assertEqual(run(check_sizes, {"src/a.cpp": "\n" * 800})[0], 0)
        code, printed = run(check_sizes, {"src/a.cpp": "\n" * 801, "src/b.hpp": "\n" * 501})
        self.assertEqual(code, 1)
        self.assertIn("801 src/a.cpp  over the limit", printed)
        self.assertIn("501 src/b.hpp", printed)


class Words(unittest.TestCase):
    def test_catches(self):
        for text in ("cd " + "/work/" + "main", "see ../" + "shared/DESIGN.md", "https://" + "pypi" + ".org/simple",
                     "// FIX" + "ME later", "<" * 7 + " HEAD", "/home/" + "someone/x"):
            code, printed = run(check_words, {"docs/a.md": f"first line\n{text}\n"})
            self.assertEqual(code, 1, text)
            self.assertIn("docs/a.md:2:", printed)

    def test_leaves_the_rest(self):
        code, printed = run(check_words, {"docs/a.md": "../shared/vectors, src/work/x, $PWD/work/ and frame" + "work/\n"})
        self.assertEqual(code, 0, printed)


class Headers(unittest.TestCase):
    def test_missing_include_is_found(self):
        code, printed = run(check_headers, {"src/base/a.hpp": "#pragma once\nstd::vector<int> f();\n"}, "--no-cache")
        self.assertEqual(code, 1)
        self.assertIn("src/base/a.hpp does not compile alone", printed)

    def test_missing_guard_is_found(self):
        self.assertEqual(run(check_headers, {"src/base/a.hpp": "struct A {};\n"}, "--no-cache")[0], 1)

    def test_generated_and_own_headers_are_found(self):
        code, printed = run(check_headers, {
            "src/base/v.hpp.in": "#pragma once\n#include <vector>\n",
            "src/base/a.hpp": '#pragma once\n#include "base/v.hpp"\nstd::vector<int> f();\n'}, "--no-cache")
        self.assertEqual(code, 0, printed)

    def test_key_follows_what_is_included(self):
        with Tree({"a.hpp": '#include "b.hpp"\n', "b.hpp": "1\n"}) as tree:
            before = check_headers.key_of(tree.root / "a.hpp", [tree.root], b"")
            self.assertEqual(before, check_headers.key_of(tree.root / "a.hpp", [tree.root], b""))
            (tree.root / "b.hpp").write_text("2\n")
            self.assertNotEqual(before, check_headers.key_of(tree.root / "a.hpp", [tree.root], b""))


class RfcMap(unittest.TestCase):
    FILES = {
        "src/ike/v2/window.cpp":
            "// RFC 7296 2.3: a request outside the window is\n// dropped without an answer. More words.\nint f();\n"
            "// Deviates from RFC 4301 4.4.1.2: names are not looked up.\n// plain RFC 7296 without a section\n",
        "src/ike/v2/window_test.cpp": "// RFC 7296 2.3\n",
    }

    def test_map(self):
        code, printed = run(rfc_map, self.FILES)
        self.assertEqual(code, 0)
        self.assertIn("| 2.3 | a request outside the window is dropped without an answer | ike/v2/window.cpp "
                      "| ike/v2/window_test.cpp |", printed)
        self.assertIn("**departs:** names are not looked up", printed)
        self.assertIn("1 sections in the code, 1 of them with a test.", printed)

    def test_open_sections_are_listed(self):
        self.assertEqual(run(rfc_map, self.FILES, "--open")[1], "RFC 4301 4.4.1.2: src/ike/v2/window.cpp\n")

    def test_check_needs_the_current_map(self):
        self.assertEqual(run(rfc_map, self.FILES, "--check")[0], 1)
        current = run(rfc_map, self.FILES)[1]
        self.assertEqual(run(rfc_map, self.FILES | {"docs/rfc-map.md": current}, "--check")[0], 0)


class SourceText(unittest.TestCase):
    def test_code_only_keeps_lines_and_includes(self):
        text = '#include "a/b.hpp"\nauto s = "x\\"y"; // c\nauto r = R"(\n")"; int i = 0xff\'00;\n'
        out = source_text.code_only(text)
        self.assertEqual(out.count("\n"), text.count("\n"))
        self.assertIn('#include "a/b.hpp"', out)
        self.assertIn("int i = 0xff'00;", out)
        self.assertNotIn("// c", out)


if __name__ == "__main__":
    unittest.main()
