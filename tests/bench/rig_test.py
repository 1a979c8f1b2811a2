#!/usr/bin/env python3
"""The parts of the bench that compute: medians, the search for a rate, figures, comparison, charts."""

import os
import sys
import types
import unittest
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

import failover  # noqa: E402
import gateway  # noqa: E402
import growth  # noqa: E402
import ike_attack  # noqa: E402
import ike_load  # noqa: E402
from vpn import compare, figures, goals, many, subjects, svg  # noqa: E402
from vpn.statistics import highest, median, spread  # noqa: E402


class Statistics(unittest.TestCase):
    def test_what_is_missing_is_left_out(self):
        self.assertEqual(median([3, None, 1, 2]), 2)
        self.assertIsNone(median([None]))
        self.assertEqual(spread([9, 10, 12]), 0.3)
        self.assertIsNone(spread([5, None]))

    def test_the_search_ends_close_below_the_limit(self):
        for limit in (1500, 39_000, 41_000, 700_000, 3_900_000):
            tried = []
            found = highest(lambda rate: tried.append(rate) or rate <= limit, 40e3, 1000, 4e6, 14)
            self.assertLessEqual(found, limit)
            self.assertGreater(found, limit * 0.9)
            self.assertLessEqual(len(tried), 14)

    def test_the_search_knows_its_bounds(self):
        self.assertIsNone(highest(lambda rate: False, 40e3, 1000, 4e6, 20))
        self.assertEqual(highest(lambda rate: True, 40e3, 1000, 4e6, 20), 4e6)


class Gateway(unittest.TestCase):
    def test_a_subject_that_was_not_measured_leaves_its_places_empty(self):
        kinds = gateway.KINDS[:3]
        rounds = [{"plain": {"tcp1": 40.0, "tcp1_cpu": None}, "culvert": {"tcp1": 12.0, "tcp1_cpu": 0.5}}, {"plain": {"tcp1": 44.0, "tcp1_cpu": None}}]
        head, rate, cpu, *others = gateway.table(rounds, kinds)
        self.assertEqual([title in head for title in ("no VPN", "Culvert", "ESP without UDP")], [True] * 3)
        self.assertEqual(rate.split("Gbit/s")[1].split(), ["42.00", "(10%)", "12.00"])
        self.assertEqual(cpu.split("s/GB")[1].split(), ["0.50"])
        self.assertEqual(len(others), len(gateway.MEASURES) - 2)


class Goals(unittest.TestCase):
    def missed(self, goals):
        return [goal.what for goal in goals if not goal.reached]

    def attack(self, rate=100_500.0, worst=1900.0, honest=100, took=9.0, again=1000, seconds=9.5):
        options = types.SimpleNamespace(rate=100_000, seconds=20, initiators=1000)
        results = {"flood": {"attack_per_second": rate, "seconds": took, "honest": [{"done": 100, "milliseconds": {"max": 10.0}}, {"done": honest, "milliseconds": {"max": worst}}]},
                   "return": {"again": {"phases": {"set-up": {"done": again, "seconds": seconds}}}}}
        return self.missed(ike_attack.goals_of(results, options))

    def test_an_attack_is_judged_by_its_worst(self):
        self.assertEqual(self.attack(), [])
        self.assertEqual(self.attack(rate=100_000.0, worst=2000.0, seconds=10.0), [])
        for wrong in ({"rate": 99_999.0}, {"worst": 2001.0}, {"honest": 99}, {"took": 19.5}, {"again": 999}, {"seconds": 10.1}):
            self.assertEqual(len(self.attack(**wrong)), 1, wrong)

    def test_liveness_is_judged_where_all_stand(self):
        def load(done, *shares, standing=100_000):
            options = types.SimpleNamespace(liveness=30, initiators=standing)
            return self.missed(ike_load.goals_of({"culvert": [{"phases": {"hold": {"done": done, "responder_core_share": one}}} for one in shares]}, options))
        self.assertEqual(load(100_000, 0.06, 0.1), [])
        self.assertEqual(len(load(100_000, 0.06, 0.11)), 1)
        self.assertEqual(len(load(99_999, 0.06)), 1)
        self.assertEqual(len(load(100_000)), 1, "nothing was measured")
        self.assertEqual(load(2000, 0.5, standing=2000), [], "too few to say anything")

    def test_each_way_of_failover_has_its_bound(self):
        found = {way: {"to_tcp": {"worst": 4.9}, "to_udp": {"worst": 59.0}} for way in ("mobike", "anew")}
        self.assertEqual(self.missed(failover.goals_of(found)), [])
        found["anew"]["to_udp"]["worst"] = 61.0
        self.assertEqual(len(self.missed(failover.goals_of(found))), 1)

    def test_it_is_said_in_words(self):
        self.assertEqual(str(goals.Goal("x", 1.234, 2)), "x: 1.23 s, at most 2 s: reached")
        self.assertEqual(str(goals.Goal("x", 98_900, 100_000, "per second", at_least=True)), "x: 98,900 per second, at least 100,000 per second: not reached")
        self.assertEqual(str(goals.Goal("x", None, 2)), "x: not measured, at most 2 s: not reached")


def measured(**more):
    found = {"plain": {"tcp1": 50e9, "tcp4": 40e9, "rtt": 30}, "culvert": {"tcp1": 20e9, "tcp4": 10e9, "cpu_per_gb": 0.4, "udp64": 300e3, "rtt": 300},
             "wireguard-go": {"tcp1": 2e9, "udp64": 60e3}, "nebula": {"udp64": 90e3}}
    found.update(more)
    return found


class Versions(unittest.TestCase):
    def test_a_complaint_is_no_version(self):
        self.assertEqual(subjects.said("sh", "-c", "echo tool 1.2; echo more"), "tool 1.2")
        self.assertEqual(subjects.said("sh", "-c", "echo no socket >&2; exit 22"), "?")

    @unittest.skipUnless(os.path.exists(subjects.strongswan.CHARON), "strongSwan is not installed (Debian package strongswan-charon; ./dev setup)")
    def test_strongswan_tells_without_running(self):
        self.assertRegex(subjects.StrongSwan(None, None).version, r"^strongSwan \d+\.\d+")


class Figures(unittest.TestCase):
    def rows(self, *rounds):
        return {row["name"]: row for row in figures.evaluate(rounds)}

    def test_ratios_are_made_inside_a_round(self):
        slow = {"plain": {"tcp1": 10e9}, "culvert": {"tcp1": 4e9}}
        row = self.rows(measured(), slow)["tcp1"]
        self.assertEqual((row["value"], row["spread"], row["reached"]), (0.4, 0, True))

    def test_each_figure_knows_which_way_is_better(self):
        rows = self.rows(measured())
        self.assertEqual([rows[n]["reached"] for n in ("cpu_per_gb", "tcp4", "rtt", "udp64", "tcp1_wireguard")], [True, False, False, True, True])
        self.assertAlmostEqual(rows["udp64"]["value"], 300 / 90)

    def test_what_is_missing_is_said(self):
        row = self.rows(measured())["tcp1_strongswan"]
        self.assertIsNone(row["value"])
        self.assertIn("charon did not start", figures.word(row, {"start": "charon did not start"}))

    def test_names_are_unique(self):
        names = [f.name for f in figures.FIGURES]
        self.assertEqual(len(names), len(set(names)))


class Comparison(unittest.TestCase):
    @staticmethod
    def row(value, noise=None):
        return {"name": "x", "title": "X", "unit": "u", "value": value, "spread": noise}

    def test_a_change_within_the_noise_is_none(self):
        self.assertEqual(compare.lines([self.row(1.2, 0.3)], [self.row(1.0)]), ["no figure changed by more than the noise"])
        self.assertEqual(compare.lines([self.row(1.04)], [self.row(1.0)]), ["no figure changed by more than the noise"])
        self.assertEqual(compare.lines([self.row(None)], [self.row(1.0)]), ["no figure changed by more than the noise"])

    def test_a_change_beyond_it_is_told(self):
        self.assertEqual(compare.lines([self.row(1.2, 0.1)], [self.row(1.0, 0.1)]), ["X (u): 1 -> 1.2 (+20%)"])


class Many(unittest.TestCase):
    def test_each_destination_has_its_address(self):
        self.assertEqual([many.address(n) for n in (0, 255, 99_999)], ["10.128.0.0", "10.128.0.255", "10.129.134.159"])

    def test_each_kind_has_its_sections(self):
        def count(kind, number):
            texts = [text for _, text in many.files(kind, "a", number, "[daemon]\n")]
            whole = "".join(texts)
            self.assertEqual(whole.count("[daemon]"), 1)
            return len(texts), whole.count("[tunnel."), whole.count("[[policy]]")
        self.assertEqual(count("flows", 2500), (3, 1, 0))
        self.assertEqual(count("rules", 2500), (3, 1, 2500))
        self.assertEqual(count("tunnels", 2500), (3, 2500, 0))
        self.assertEqual(count("peers", 2500), (3, 2500, 0))

    def test_peers_are_at_addresses_of_their_own(self):
        self.assertEqual([many.outer("peers", n) for n in (0, 255, 99_999)], ["198.18.0.0", "198.18.0.255", "198.19.134.159"])
        self.assertEqual(len({many.outer("tunnels", n) for n in range(9)}), 1)
        a, b = (many.sections("peers", side, [7]) for side in "ab")
        self.assertIn('peer = "198.18.0.7"', a)
        self.assertIn('local_address = "198.18.0.7"', b)

    def test_the_ends_mirror_each_other(self):
        a, b = (many.sections("tunnels", side, [7]) for side in "ab")
        self.assertIn('local = ["10.1.0.1"]\nremote = ["10.128.0.7"]', a)
        self.assertIn('local = ["10.128.0.7"]\nremote = ["10.1.0.1"]', b)
        self.assertIn('local_id = "s7.example"\nremote_id = "hub.example"', a)
        self.assertIn('local_id = "hub.example"\nremote_id = "s7.example"', b)
        # An IKE SA each, which has a limit of Child SAs.
        self.assertIn("share_ike_sa = false\nmobike = false\n", a)
        self.assertIn("share_ike_sa = false\nmobike = false\n", b)

    ROUNDS = [{("flows", 1): {"cpu": 2.0, "flood_cpu": 2.0, "flood": 3e5, "lost": 0}, ("flows", 10): {"cpu": 3.0}, ("tunnels", 10): {"cpu": 3.3, "flood_cpu": 5.0}},
              {("flows", 1): {"cpu": 4.0}, ("flows", 10): {"cpu": 5.0}, ("tunnels", 10): {"cpu": 10.0}}]

    def test_ratios_are_made_inside_a_round(self):
        rows = {row["name"]: row for row in many.evaluate(self.ROUNDS)}
        self.assertEqual(list(rows), ["flows-1", "flows-10", "tunnels-10"])
        self.assertAlmostEqual(rows["tunnels-10"]["of_one"], (1.65 + 2.5) / 2)
        self.assertAlmostEqual(rows["tunnels-10"]["of_flows"], (1.1 + 2.0) / 2)
        self.assertAlmostEqual(rows["tunnels-10"]["flood_of_one"], 2.5)
        self.assertNotIn("of_flows", rows["flows-10"])
        self.assertEqual(len(many.table(list(rows.values()))), 4)

    def test_rules_and_sas_are_judged_by_the_same_packets(self):
        rows = many.evaluate(self.ROUNDS)
        self.assertEqual([(goal.what, goal.reached) for goal in growth.goals_of(rows)],
                         [("CPU per packet, 10 tunnels, a rule and an SA each, of 10 destinations by one SA", False)])
        rows[-1]["of_flows"] = 1.5
        self.assertTrue(all(goal.reached for goal in growth.goals_of(rows)))
        rows[-1]["of_flows"] = None
        self.assertFalse(all(goal.reached for goal in growth.goals_of(rows)))

    def test_one_destination_is_measured_once(self):
        options = types.SimpleNamespace(counts="1,10", kinds="flows,rules,tunnels")
        self.assertEqual(growth.subjects_of(options), [("flows", 1), ("flows", 10), ("rules", 10), ("tunnels", 10)])


class Charts(unittest.TestCase):
    def test_they_are_xml_with_a_bar_for_each_row(self):
        rows = [("A <b>", 5.0, 4.0, 6.0, "ours"), ("B", 0.01, 0.01, 0.01, "peer"), ("nothing", None, 0, 0, "peer")]
        for logarithmic in (False, True):
            page = xml.dom.minidom.parseString(svg.bars("T & U", "s", rows, logarithmic))
            self.assertEqual(len(page.getElementsByTagName("rect")), 1 + 2)
            for rect in page.getElementsByTagName("rect"):
                self.assertGreaterEqual(float(rect.getAttribute("width")), 1)
        self.assertIn("nothing was measured", svg.bars("T", "s", []))

    def test_numbers_are_short(self):
        self.assertEqual([svg.short(v) for v in (0.4212, 12.34, 1234, 4.2e6, 22.1e9)], ["0.421", "12.3", "1.23k", "4.2M", "22.1G"])


if __name__ == "__main__":
    unittest.main()
