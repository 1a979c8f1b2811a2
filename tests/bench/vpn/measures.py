"""What is measured of a subject in one round."""

import json
import re
import signal
import time

from rig.shell import Failed, end, wait_until

from .processes import cpu_seconds, machine_busy_seconds, resident_megabytes
from .statistics import highest, median

PORT = 5201
LOSS = 0.001  # what a rate may lose and still count as carried


class Bench:
    """Measurements between the two ends of a lab through a subject. Traffic goes from a to b."""

    settling = 3  # seconds after which the daemons must be idle when the load has ended

    def __init__(self, lab, subject, options):
        self.lab, self.subject, self.options = lab, subject, options

    def tcp(self, streams):
        """(bits per second, daemon CPU seconds per 10^9 octets) of `streams` TCP streams."""
        pids = self.subject.pids()
        server = self.lab.spawn("b", "iperf3", "--forceflush", "-s", "-1", "-B", self.subject.address("b"), "-p", PORT, output=self.lab.path("iperf3"))
        wait_until(lambda: "Server listening" in self._text("iperf3"), 5, "iperf3 listens")
        before = cpu_seconds(pids)
        text = self.lab.exec("a", "iperf3", "-J", "-c", self.subject.address("b"), "-B", self.subject.address("a"), "-p", PORT,
                             "-t", self.options.seconds, "-P", streams, ok=None, timeout=self.options.seconds + 20)
        used = cpu_seconds(pids) - before
        end(server)
        open(self.lab.path("iperf3"), "w", encoding="ascii").close()
        told = json.loads(text)
        if "error" in told:
            raise Failed(f"iperf3: {told['error']}")
        received = told["end"]["sum_received"]
        return received["bits_per_second"], used / (received["bytes"] / 1e9) if pids else None

    def _text(self, name):
        with open(self.lab.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def _udp_trial(self, octets, rate, seconds):
        return self.udp_load("send", self.subject.address("b"), PORT, octets, rate, seconds)

    def udp_load(self, *load):
        """(packets delivered per second, share lost, daemon CPU per delivered packet) of what udp_load sends."""
        output = "udp-receiver"
        open(self.lab.path(output), "w", encoding="ascii").close()
        program = f"{self.options.bin}/udp_load"
        receiver = self.lab.spawn("b", program, "receive", PORT, output=self.lab.path(output))
        wait_until(lambda: "ready" in self._text(output), 5, "the receiver of the UDP stream is ready", 0.01)
        pids = self.subject.pids()
        before = cpu_seconds(pids)
        sent = json.loads(self.lab.exec("a", program, *load, timeout=30 + float(load[-1])))
        wait_until(lambda settled=[-1.0]: self._settled(pids, settled), self.settling, "the daemons have settled", 0.05)
        used = cpu_seconds(pids) - before
        end(receiver, signal.SIGINT)
        got = json.loads(self._text(output).split("ready", 1)[1])
        lost = 1 - got["packets"] / sent["packets"]
        return got["packets"] / sent["seconds"], lost, used / got["packets"] if got["packets"] and pids else None

    @staticmethod
    def _settled(pids, last):
        now = cpu_seconds(pids)
        settled, last[0] = now - last[0] < 0.002, now
        return settled

    def udp(self, octets, start, most):
        """(highest rate with at most LOSS lost, in packets per second; CPU microseconds per packet there)."""
        cost = {}

        def passes(rate):
            delivered, lost, cpu = self._udp_trial(octets, rate, self.options.udp_seconds)
            # A sender that cannot keep up ends the search as a loss would.
            held = lost <= LOSS and delivered >= 0.9 * rate
            if held:
                cost[rate] = cpu
            return held

        rate = highest(passes, start, 1000, most, self.options.udp_steps)
        cpu = cost.get(rate)
        return rate, cpu * 1e6 if cpu is not None else None

    def flood(self, octets, rate):
        """(packets delivered per second, CPU microseconds per delivered packet) when more is offered than passes."""
        delivered, _, cpu = self._udp_trial(octets, rate, self.options.udp_seconds)
        return delivered, cpu * 1e6 if cpu is not None else None

    def rtt(self):
        """Median round-trip time of single pings on an idle path, in microseconds."""
        text = self.lab.exec("a", "ping", "-n", "-c", "100", "-i", "0.01", "-I", self.subject.address("a"), self.subject.address("b"), timeout=30)
        return median([float(ms) * 1000 for ms in re.findall(r"time=([\d.]+) ms", text)])

    def offloads(self, word):
        """Segmentation offloads of the veth at both ends: "on", or "off" with GRO on, as a NIC without them has it."""
        for side in "ab":
            self.lab.exec(side, "ethtool", "-K", "wire", "tso", word, "gso", word, "tx-udp-segmentation", word, "gro", "off" if word == "on" else "on",
                          ok=None)

    def everything(self):
        """{figure: value}; a figure that could not be measured is None and has its reason in "problems"."""
        result, problems = {}, {}

        def take(names, measure):
            try:
                values = measure()
            except Failed as reason:
                problems[names[0]], values = str(reason), (None,) * len(names)
            result.update(zip(names, values))

        pids = self.subject.pids()
        busy, ours = machine_busy_seconds(), cpu_seconds(pids)
        if pids:
            time.sleep(5)  # what has just set a tunnel up is not idle yet
            result["memory"] = median([resident_megabytes(p) for p in pids])
        take(("rtt",), lambda: (self.rtt(),))
        take(("tcp1", "cpu_per_gb"), lambda: self.tcp(1))
        take(("tcp4", "cpu_per_gb_4"), lambda: self.tcp(4))
        self.offloads("off")
        take(("tcp1_nic", "cpu_per_gb_nic"), lambda: self.tcp(1))
        self.offloads("on")
        take(("udp1400", "udp1400_cpu"), lambda: self.udp(1400, 40e3, 4e6))
        take(("udp64", "udp64_cpu"), lambda: self.udp(64, 40e3, 4e6))
        take(("flood64", "flood64_cpu"), lambda: self.flood(64, 1e6))
        result["machine_busy"] = machine_busy_seconds() - busy
        result["daemons_busy"] = cpu_seconds(pids) - ours
        return result, problems
