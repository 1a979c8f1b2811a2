#include "api/json.hpp"

#include <algorithm>
#include <concepts>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

namespace culvert::api {
namespace {

using Json = nlohmann::ordered_json;

// One list of members per struct, for both directions: `f` is called with each member's name and the member.

void members(const Problem*, auto& x, auto&& f) {
  f("severity", x.severity), f("file", x.file), f("line", x.line), f("column", x.column), f("field", x.field);
  f("message", x.message), f("hint", x.hint);
}
void members(const Error*, auto& x, auto&& f) {
  f("code", x.code), f("message", x.message), f("hint", x.hint), f("field", x.field), f("problems", x.problems);
}
void members(const Counters*, auto& x, auto&& f) {
  f("inbound_packets", x.inbound_packets), f("inbound_bytes", x.inbound_bytes),
      f("outbound_packets", x.outbound_packets);
  f("outbound_bytes", x.outbound_bytes), f("outbound_sequence", x.outbound_sequence), f("replay_drops", x.replay_drops);
  f("integrity_drops", x.integrity_drops);
}
void members(const ChildSa*, auto& x, auto&& f) {
  f("id", x.id), f("spi_inbound", x.spi_inbound), f("spi_outbound", x.spi_outbound), f("resource", x.resource);
  f("suite", x.suite), f("mode", x.mode);
  f("encapsulation", x.encapsulation), f("backend", x.backend), f("local", x.local), f("remote", x.remote),
      f("security_label", x.security_label), f("age", x.age), f("rekey_in", x.rekey_in);
  f("expires_in", x.expires_in), f("counters", x.counters);
}
void members(const IkeSa*, auto& x, auto&& f) {
  f("id", x.id), f("role", x.role), f("spi_i", x.spi_i), f("spi_r", x.spi_r), f("local", x.local),
      f("remote", x.remote), f("transport", x.transport), f("transport_age", x.transport_age);
  f("local_id", x.local_id), f("remote_id", x.remote_id), f("suite", x.suite),
      f("local_behind_nat", x.local_behind_nat);
  f("remote_behind_nat", x.remote_behind_nat), f("mobike", x.mobike), f("resumed", x.resumed), f("ppk", x.ppk),
      f("counter_sync", x.counter_sync), f("age", x.age), f("rekey_in", x.rekey_in), f("leased", x.leased),
      f("eap_identity", x.eap_identity), f("group", x.group), f("of_tunnel", x.of_tunnel), f("children", x.children);
}
void members(const Refusal*, auto& x, auto&& f) {
  f("subject", x.subject), f("serial", x.serial), f("check", x.check), f("found", x.found);
}
void members(const Failure*, auto& x, auto&& f) {
  f("attempt", x.attempt), f("time", x.time), f("kind", x.kind), f("message", x.message), f("hint", x.hint);
  f("refusal", x.refusal);
}
void members(const Given*, auto& x, auto&& f) {
  f("addresses", x.addresses), f("dns_servers", x.dns_servers), f("encrypted_dns", x.encrypted_dns);
  f("domains", x.domains), f("subnets", x.subnets);
}
void members(const Lease*, auto& x, auto&& f) {
  f("address", x.address), f("identity", x.identity), f("pool", x.pool), f("sessions", x.sessions);
}
void members(const LeaseList*, auto& x, auto&& f) { f("leases", x.leases), f("next", x.next); }
void members(const PeerFailure*, auto& x, auto&& f) {
  f("time", x.time), f("since", x.since), f("times", x.times), f("tunnel", x.tunnel), f("peer", x.peer);
  f("identity", x.identity), f("began", x.began), f("what", x.what), f("kind", x.kind), f("message", x.message);
  f("hint", x.hint), f("refusal", x.refusal);
}
void members(const FailureList*, auto& x, auto&& f) { f("failures", x.failures); }
void members(const TunnelStatus*, auto& x, auto&& f) {
  f("name", x.name), f("state", x.state), f("start", x.start), f("peer", x.peer), f("local", x.local),
      f("remote", x.remote);
  f("place", x.place), f("progress", x.progress), f("attempts", x.attempts), f("last_failure", x.last_failure);
  f("retry_in", x.retry_in), f("given", x.given), f("ike_sas", x.ike_sas), f("next", x.next);
}
void members(const ManualSa*, auto& x, auto&& f) {
  f("name", x.name), f("state", x.state), f("reason", x.reason), f("place", x.place), f("protocol", x.protocol);
  f("local_address", x.local_address), f("peer", x.peer), f("policy", x.policy), f("replay_window", x.replay_window);
  f("cpi_in", x.cpi_in), f("cpi_out", x.cpi_out), f("sequence_granted", x.sequence_granted), f("sa", x.sa);
}
void members(const ManualSaList*, auto& x, auto&& f) { f("sas", x.sas); }
void members(const Setting*, auto& x, auto&& f) { f("name", x.name), f("value", x.value); }
void members(const AddRequest*, auto& x, auto&& f) { f("name", x.name), f("settings", x.settings); }
void members(const Removed*, auto& x, auto&& f) { f("name", x.name); }
void members(const PolicyEntry*, auto& x, auto&& f) {
  f("position", x.position), f("name", x.name), f("action", x.action), f("direction", x.direction), f("local", x.local);
  f("remote", x.remote), f("populate", x.populate), f("security_labels", x.security_labels), f("sa", x.sa),
      f("state", x.state), f("origin", x.origin);
  f("place", x.place);
}
void members(const PolicyList*, auto& x, auto&& f) { f("policies", x.policies); }
void members(const XdpInterface*, auto& x, auto&& f) {
  f("interface", x.interface), f("in_use", x.in_use), f("text", x.text);
}
void members(const DataPath*, auto& x, auto&& f) {
  f("tun_offload", x.tun_offload), f("longest_tcp", x.longest_tcp), f("udp_segmentation", x.udp_segmentation),
      f("udp_receive_offload", x.udp_receive_offload), f("raw_esp", x.raw_esp), f("ipv6", x.ipv6);
  f("io_engine", x.io_engine), f("workers", x.workers), f("xdp", x.xdp);
}
void members(const DaemonStatus*, auto& x, auto&& f) {
  f("version", x.version), f("pid", x.pid), f("uptime", x.uptime), f("config", x.config), f("tun", x.tun),
      f("ike_port", x.ike_port);
  f("nat_port", x.nat_port), f("export_keys", x.export_keys), f("data_path", x.data_path);
}
void members(const StatusPlace*, auto& x, auto&& f) { f("tunnel", x.tunnel), f("ike_sa", x.ike_sa); }
void members(const Status*, auto& x, auto&& f) {
  f("daemon", x.daemon), f("tunnels", x.tunnels), f("manual", x.manual), f("ike_counters", x.ike_counters),
      f("ike_drops", x.ike_drops), f("ike_refusals", x.ike_refusals);
  f("packet_drops", x.packet_drops), f("next", x.next);
}
void members(const TunnelSummary*, auto& x, auto&& f) {
  f("name", x.name), f("state", x.state), f("start", x.start), f("peer", x.peer), f("local", x.local),
      f("remote", x.remote);
  f("place", x.place);
}
void members(const TunnelList*, auto& x, auto&& f) { f("tunnels", x.tunnels), f("next", x.next); }
void members(const RekeyRequest*, auto& x, auto&& f) { f("what", x.what); }
void members(const RedirectRequest*, auto& x, auto&& f) { f("gateway", x.gateway); }
void members(const RedirectResult*, auto& x, auto&& f) { f("ike_sas", x.ike_sas); }
void members(const RekeyResult*, auto& x, auto&& f) { f("ike_sas", x.ike_sas), f("child_sas", x.child_sas); }
void members(const ApplyRequest*, auto& x, auto&& f) { f("dry_run", x.dry_run); }
void members(const TunnelChange*, auto& x, auto&& f) {
  f("name", x.name), f("changes", x.changes), f("restarts", x.restarts);
}
void members(const ApplyResult*, auto& x, auto&& f) {
  f("applied", x.applied), f("added", x.added), f("removed", x.removed), f("changed", x.changed),
      f("unchanged", x.unchanged);
  f("manual_added", x.manual_added), f("manual_removed", x.manual_removed), f("manual_changed", x.manual_changed),
      f("manual_unchanged", x.manual_unchanged);
  f("policies_changed", x.policies_changed), f("pools_changed", x.pools_changed), f("radius_changed", x.radius_changed),
      f("daemon", x.daemon), f("daemon_restart_needed", x.daemon_restart_needed);
  f("warnings", x.warnings);
}
void members(const CheckResult*, auto& x, auto&& f) {
  f("ok", x.ok), f("files", x.files), f("tunnels", x.tunnels), f("problems", x.problems);
}
void members(const LogEntry*, auto& x, auto&& f) {
  f("sequence", x.sequence), f("time", x.time), f("level", x.level), f("tunnel", x.tunnel), f("text", x.text);
}
void members(const LogPage*, auto& x, auto&& f) { f("entries", x.entries), f("next", x.next), f("lost", x.lost); }

template <typename T>
constexpr T kLastOf = T{};
template <>
constexpr ErrorCode kLastOf<ErrorCode> = ErrorCode::internal;
template <>
constexpr TunnelState kLastOf<TunnelState> = TunnelState::closing;
template <>
constexpr RekeyWhat kLastOf<RekeyWhat> = RekeyWhat::all;
template <>
constexpr LogLevel kLastOf<LogLevel> = LogLevel::error;

// ---------------------------------------------------------------- writing

/// Straight into the text: of lists of a hundred thousand entries nothing else is made.
class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}
  [[nodiscard]] std::string take() { return std::move(out_); }

  void write(const std::string& value) { write_text(value); }
  void write(bool value) { out_ += value ? "true" : "false"; }
  template <std::integral T>
  void write(T value) {
    out_ += std::to_string(value);
  }
  template <typename T>
  void write(const std::vector<T>& list) {
    open('[');
    for (const T& entry : list) {
      next();
      write(entry);
    }
    close(']');
  }
  void write(const std::map<std::string, std::uint64_t>& map) {
    open('{');
    for (const auto& [key, number] : map) {
      name(key);
      write(number);
    }
    close('}');
  }
  template <typename T>
    requires(std::is_enum_v<T> || std::is_class_v<T>)
  void write(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      write_text(name_of(value));
    } else {
      open('{');
      members(static_cast<const T*>(nullptr), value, [&](const char* key, const auto& member) {
        if constexpr (requires { member.has_value(); }) {
          if (!member) return;
          name(key);
          write(*member);
        } else {
          name(key);
          write(member);
        }
      });
      close('}');
    }
  }

 private:
  void open(char bracket) {
    out_ += bracket;
    empty_ = true;
    ++depth_;
  }
  void close(char bracket) {
    --depth_;
    if (!empty_) new_line();
    out_ += bracket;
    empty_ = false;
  }
  /// In front of each entry.
  void next() {
    if (!empty_) out_ += ',';
    new_line();
    empty_ = false;
  }
  void name(std::string_view key) {
    next();
    write_text(key);
    out_ += indent_ < 0 ? ":" : ": ";
  }
  void new_line() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * depth_, ' ');
  }
  void write_text(std::string_view text) {
    const bool plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
    if (plain) {
      out_ += '"';
      out_ += text;
      out_ += '"';
    } else {
      out_ += Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
    }
  }

  int indent_;
  std::size_t depth_ = 0;
  bool empty_ = true;  // nothing stands in the innermost brackets so far
  std::string out_;
};

// ---------------------------------------------------------------- reading

/// Collects the first complaint; `path` leads to the member that is being read.
struct Reader {
  std::string complaint;

  bool complain(const std::string& path, const char* wanted) {
    if (complaint.empty()) complaint = (path.empty() ? std::string("the body") : path) + ": " + wanted + " is needed";
    return false;
  }

  bool read(const std::string& path, const Json& json, std::string& out) {
    if (!json.is_string()) return complain(path, "text");
    out = json.get_ref<const std::string&>();
    return true;
  }
  bool read(const std::string& path, const Json& json, bool& out) {
    if (!json.is_boolean()) return complain(path, "true or false");
    out = json.get<bool>();
    return true;
  }
  template <std::integral T>
  bool read(const std::string& path, const Json& json, T& out) {
    if (json.is_number_unsigned() &&
        json.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
      out = static_cast<T>(json.get<std::uint64_t>());
      return true;
    }
    if (std::is_signed_v<T> && json.is_number_integer() && !json.is_number_unsigned()) {
      out = static_cast<T>(json.get<std::int64_t>());
      return true;
    }
    return complain(path, "a whole number in range");
  }
  template <typename T>
  bool read(const std::string& path, const Json& json, std::vector<T>& out) {
    if (!json.is_array()) return complain(path, "a list");
    for (const Json& entry : json) {
      if (!read(path + "[]", entry, out.emplace_back())) return false;
    }
    return true;
  }
  template <typename T>
  bool read(const std::string& path, const Json& json, std::optional<T>& out) {
    if (json.is_null()) return true;
    return read(path, json, out.emplace());
  }
  bool read(const std::string& path, const Json& json, std::map<std::string, std::uint64_t>& out) {
    if (!json.is_object()) return complain(path, "an object");
    for (const auto& [key, entry] : json.items()) {
      std::string place = path;
      place.append(".").append(key);
      if (!read(place, entry, out[key])) return false;
    }
    return true;
  }
  template <typename T>
    requires std::is_enum_v<T>
  bool read(const std::string& path, const Json& json, T& out) {
    for (unsigned i = 0; json.is_string() && i <= static_cast<unsigned>(kLastOf<T>); ++i) {
      const auto value = static_cast<T>(i);
      if (json.get_ref<const std::string&>() != name_of(value)) continue;
      out = value;
      return true;
    }
    return complain(path, "one of the known words");
  }
  template <typename T>
    requires std::is_class_v<T>
  bool read(const std::string& path, const Json& json, T& out) {
    if (!json.is_object()) return complain(path, "an object");
    bool good = true;
    members(static_cast<const T*>(nullptr), out, [&](const char* name, auto& member) {
      const auto found = json.find(name);
      if (!good || found == json.end()) return;
      good = read(path.empty() ? std::string(name) : path + "." + name, *found, member);
    });
    return good;
  }
};

}  // namespace

template <typename T>
std::string to_json_text(const T& value, int indent) {
  Writer writer(indent);
  writer.write(value);
  return writer.take();
}

template <typename T>
Result<T, std::string> from_json_text(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return err(std::string("this is no JSON"));
  T value;
  Reader reader;
  if (!reader.read({}, json, value)) return err(std::move(reader.complaint));
  return value;
}

#define CULVERT_API_JSON(T)                            \
  template std::string to_json_text<T>(const T&, int); \
  template Result<T, std::string> from_json_text<T>(std::string_view);
CULVERT_API_JSON(Problem)
CULVERT_API_JSON(Error)
CULVERT_API_JSON(Status)
CULVERT_API_JSON(TunnelStatus)
CULVERT_API_JSON(TunnelList)
CULVERT_API_JSON(RekeyRequest)
CULVERT_API_JSON(RekeyResult)
CULVERT_API_JSON(RedirectRequest)
CULVERT_API_JSON(RedirectResult)
CULVERT_API_JSON(ApplyRequest)
CULVERT_API_JSON(ApplyResult)
CULVERT_API_JSON(CheckResult)
CULVERT_API_JSON(LeaseList)
CULVERT_API_JSON(FailureList)
CULVERT_API_JSON(ManualSa)
CULVERT_API_JSON(ManualSaList)
CULVERT_API_JSON(AddRequest)
CULVERT_API_JSON(Removed)
CULVERT_API_JSON(PolicyList)
CULVERT_API_JSON(LogEntry)
CULVERT_API_JSON(LogPage)
#undef CULVERT_API_JSON

}  // namespace culvert::api
