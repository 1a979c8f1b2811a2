#include "daemon/ticket_keys.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "daemon/secret_file.hpp"

namespace culvert::daemon {
namespace {

constexpr std::string_view kName = "ticket-keys";
constexpr std::string_view kMagic = "CVTICK1\n";
constexpr std::size_t kKey = 32;
constexpr std::size_t kRecord = 8 + 8 + kKey;
constexpr std::size_t kMostKeys = 4;
constexpr std::string_view kDanger = "read the keys of resumed tunnels";
constexpr std::string_view kPrice = "until that is mended, peers get no tickets to resume from";

bool parse(ByteView octets, std::vector<ike::TicketKey>& keys) {
  ByteReader reader(octets);
  if (!equal(reader.bytes(kMagic.size()), as_bytes(kMagic)) || reader.remaining() % kRecord != 0) return false;
  while (reader.remaining() != 0) {
    ike::TicketKey key;
    std::ranges::copy(reader.bytes(key.id.size()), key.id.begin());
    key.made = static_cast<std::int64_t>(reader.u64());
    key.key = SecretBytes::copy_of(reader.bytes(kKey));
    keys.push_back(std::move(key));
  }
  return true;
}

SecretBytes serialize(const std::vector<ike::TicketKey>& keys) {
  ByteWriter writer;
  writer.bytes(as_bytes(kMagic));
  for (const ike::TicketKey& key : keys) {
    writer.bytes(key.id);
    writer.u64(static_cast<std::uint64_t>(key.made));
    writer.zeros(kKey);
  }
  // The keys themselves only where they will be wiped: what the writer outgrows is freed as it is.
  SecretBytes octets = SecretBytes::copy_of(writer.view());
  std::size_t end = kMagic.size();
  for (const ike::TicketKey& key : keys) {
    end += kRecord;
    std::ranges::copy(key.key.view(), octets.mutable_view().begin() + static_cast<std::ptrdiff_t>(end - kKey));
  }
  return octets;
}

}  // namespace

Result<std::vector<ike::TicketKey>, std::string> load_ticket_keys(const std::filesystem::path& folder,
                                                                  RandomSource& random, std::int64_t now) {
  const std::filesystem::path path = folder / kName;
  auto known = read_secret_file(path, kMagic.size() + kMostKeys * kRecord, kDanger, kPrice);
  if (!known) return err(std::move(known.error()));
  std::vector<ike::TicketKey> keys;
  if (*known && !parse((*known)->view(), keys))
    return err(fmt::format("{} is not what culvertd writes: remove it, and culvertd makes another one", path.string()));
  // One of the future is of a clock that was wrong: nobody knows how old it is.
  std::erase_if(keys, [&](const ike::TicketKey& key) {
    return key.made > now || now - key.made >= kTicketKeyUse + kTicketLifeAtMost;
  });
  std::ranges::sort(keys, std::ranges::greater(), &ike::TicketKey::made);
  if (keys.size() >= kMostKeys) keys.resize(kMostKeys - 1);
  if (!keys.empty() && now - keys.front().made < kTicketKeyUse) return keys;
  ike::TicketKey fresh{.made = now, .key = SecretBytes(kKey)};
  random.fill(fresh.id);
  random.fill(fresh.key.mutable_view());
  keys.insert(keys.begin(), std::move(fresh));
  if (auto written = write_secret_file(path, serialize(keys).view(), kPrice); !written)
    return err(std::move(written.error()));
  return keys;
}

Result<void, std::string> remove_ticket_keys(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kName;
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return err(fmt::format("cannot remove {}: {}; whoever can read it can {}: remove it", path.string(),
                         std::strerror(errno), kDanger));
}

}  // namespace culvert::daemon
