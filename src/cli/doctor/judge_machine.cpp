// The machine: what Culvert may do here, what the kernel gives it, and what the CPU computes with.
#include <algorithm>

#include <fmt/format.h>

#include "cli/doctor/judge.hpp"
#include "cli/text.hpp"

namespace culvert::cli::doctor {
namespace {

constexpr const char* kGroup = "machine";
constexpr const char* kAskRoot = "sudo culvert doctor";
// What the data path asks for (io::UdpOptions).
constexpr int kReceiveBuffer = 64 * 1024 * 1024;
constexpr int kEnoughBuffer = 4 * 1024 * 1024;
constexpr std::int64_t kBegin2025 = 1'735'689'600;

void judge_rights(const HostFacts& host, Findings& out) {
  const io::ProcessRights& rights = host.rights;
  if (!rights.root) {
    out.push_back({kGroup, "rights", State::note, "not root: some of what follows cannot be seen", kAskRoot});
    return;
  }
  std::vector<std::string> missing;
  if (!rights.net_admin) missing.emplace_back("CAP_NET_ADMIN");
  if (!rights.net_raw) missing.emplace_back("CAP_NET_RAW");
  if (!rights.net_bind_service) missing.emplace_back("CAP_NET_BIND_SERVICE");
  if (missing.empty()) {
    out.push_back({kGroup, "rights", State::ok, "root, with all that culvertd needs", ""});
    return;
  }
  out.push_back({kGroup, "rights", State::problem, fmt::format("root without {}", joined(missing)),
                 "give the container or unit these capabilities: docker run --cap-add NET_ADMIN --cap-add NET_RAW"});
}

void judge_tun(const HostFacts& host, Findings& out) {
  const auto& tun = host.packets.tun;
  if (!tun) {
    const io::IoError& error = tun.error();
    if (error.code == io::IoErrorCode::not_permitted && !host.rights.root) {
      out.push_back({kGroup, "TUN", State::note, "cannot be tried without root", ""});
    } else if (error.code == io::IoErrorCode::not_permitted) {
      out.push_back({kGroup, "TUN", State::problem, error.text,
                     "culvertd needs CAP_NET_ADMIN, and /dev/net/tun among the devices that it may open"});
    } else {
      out.push_back({kGroup, "TUN", State::problem, error.text,
                     "modprobe tun; in a container: --device /dev/net/tun --cap-add NET_ADMIN"});
    }
    return;
  }
  const std::string found = fmt::format("/dev/net/tun works, super-packets: {}", io::name_of(*tun));
  if (*tun == io::TunOffload::tcp_and_udp) {
    out.push_back({kGroup, "TUN", State::ok, found, ""});
  } else if (*tun == io::TunOffload::tcp) {
    out.push_back({kGroup, "TUN", State::note, found + "; UDP goes packet by packet, which costs more CPU",
                   "Linux 6.2 or newer has them for UDP"});
  } else {
    out.push_back({kGroup, "TUN", State::note, found + "; every packet is handed over alone, several times slower",
                   "a kernel whose TUN has TSO: any of this decade that was not built without it"});
  }
}

void judge_udp(const HostFacts& host, Findings& out) {
  const io::UdpFacilities& udp = host.packets.udp_v4;
  if (!udp.available) {
    out.push_back({kGroup, "UDP", State::problem, udp.refusal ? udp.refusal->text : "there are no UDP sockets for IPv4",
                   "ip link set lo up; culvertd sends through sockets tied to loopback"});
  } else {
    const auto one = [&](const char* what, bool there, const char* since, const char* lack) {
      if (there) {
        out.push_back({kGroup, what, State::ok, "the kernel has it", ""});
      } else {
        out.push_back({kGroup, what, State::note, lack, fmt::format("Linux {} or newer", since)});
      }
    };
    one("UDP_SEGMENT", udp.segmentation, "4.18", "missing: packets leave one by one, which costs more CPU");
    one("UDP_GRO", udp.receive_offload, "5.0", "missing: packets come one by one, which costs more CPU");
  }
  if (udp.available) {
    const std::string found =
        fmt::format("{} for receiving, {} for sending", size_text(static_cast<std::uint64_t>(udp.receive_buffer)),
                    size_text(static_cast<std::uint64_t>(udp.send_buffer)));
    if (udp.receive_buffer >= kReceiveBuffer) {
      out.push_back({kGroup, "socket buffers", State::ok, found, ""});
    } else if (!host.rights.net_admin && !host.rights.root) {
      out.push_back({kGroup, "socket buffers", State::note,
                     found + " without root; culvertd may go beyond net.core.rmem_max", ""});
    } else if (udp.receive_buffer >= kEnoughBuffer) {
      out.push_back({kGroup, "socket buffers", State::note, found + "; bursts of many streams may be lost",
                     fmt::format("sysctl -w net.core.rmem_max={}", kReceiveBuffer)});
    } else {
      out.push_back(
          {kGroup, "socket buffers", State::note, found + "; fast streams will lose packets",
           fmt::format("sysctl -w net.core.rmem_max={} net.core.wmem_max={}", kReceiveBuffer, kEnoughBuffer)});
    }
  }
  if (host.packets.udp_v6.available) {
    out.push_back({kGroup, "IPv6", State::ok, "switched on", ""});
  } else {
    out.push_back({kGroup, "IPv6", State::note, "switched off: no IPv6 peers, no IPv6 inside tunnels",
                   "sysctl -w net.ipv6.conf.all.disable_ipv6=0"});
  }
}

void judge_raw(const HostFacts& host, Findings& out) {
  if (!host.packets.raw_refusal) {
    out.push_back({kGroup, "ESP, AH sockets", State::ok, "protocols 50 and 51 can be opened", ""});
  } else if (!host.rights.root) {
    out.push_back({kGroup, "ESP, AH sockets", State::note, "cannot be tried without root", ""});
  } else {
    out.push_back(
        {kGroup, "ESP, AH sockets", State::problem, host.packets.raw_refusal->text, "give culvertd CAP_NET_RAW"});
  }
}

void judge_cpu(const HostFacts& host, Findings& out) {
  if (!host.cpu.empty()) {
    std::vector<std::string> there;
    std::vector<std::string> missing;
    for (const crypto::CpuFeature& feature : host.cpu) (feature.present ? there : missing).push_back(feature.name);
    const bool aes = host.cpu.front().present;
    const std::string lacks = missing.empty() ? "" : fmt::format("; without {}", joined(missing));
    out.push_back({kGroup, "CPU", aes ? State::ok : State::note,
                   (there.empty() ? "nothing for ciphers" : joined(there)) + lacks,
                   aes ? "" : "without AES-NI ChaCha20-Poly1305 is the faster cipher: esp = [\"chacha20poly1305\"]"});
  }
  std::vector<std::string> served;
  for (const auto& [word, backend] : host.ciphers) {
    if (backend.empty()) {
      out.push_back({kGroup, "cipher " + word, State::problem, "no library of this machine computes it",
                     "take it out of the tunnels' esp, or install libipsec-mb1 and OpenSSL's legacy provider"});
    } else {
      served.push_back(fmt::format("{} by {}", word, backend));
    }
  }
  if (!served.empty()) out.push_back({kGroup, "ciphers", State::ok, joined(served), ""});
}

void judge_clock(const HostFacts& host, Findings& out) {
  if (host.clock.seconds < kBegin2025) {
    out.push_back({kGroup, "clock", State::problem, "it is before 2025: certificates would not be valid yet",
                   "set it, or run an NTP client: timedatectl set-ntp true"});
  } else if (!host.clock.synchronized) {
    out.push_back({kGroup, "clock", State::note, "plausible; nobody has told the kernel that it is synchronized",
                   "certificates and logs want the right time: timedatectl set-ntp true"});
  } else {
    out.push_back({kGroup, "clock", State::ok, "synchronized", ""});
  }
}

}  // namespace

void judge_machine(const Facts& facts, Findings& findings) {
  judge_rights(facts.host, findings);
  judge_tun(facts.host, findings);
  judge_udp(facts.host, findings);
  judge_raw(facts.host, findings);
  judge_cpu(facts.host, findings);
  judge_clock(facts.host, findings);
}

Findings judge(const Facts& facts) {
  Findings findings;
  judge_machine(facts, findings);
  judge_network(facts, findings);
  judge_daemon(facts, findings);
  judge_tunnels(facts, findings);
  return findings;
}

}  // namespace culvert::cli::doctor
