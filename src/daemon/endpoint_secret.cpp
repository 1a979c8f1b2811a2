#include "daemon/endpoint_secret.hpp"

#include <utility>

#include <fmt/format.h>

#include "daemon/secret_file.hpp"

namespace culvert::daemon {
namespace {

constexpr std::size_t kSize = 32;
constexpr std::string_view kName = "crash-secret";
constexpr std::string_view kDanger = "end our peers' tunnels";
constexpr std::string_view kPrice = "until that is mended, peers notice a restart of culvertd only when it is silent";

}  // namespace

Result<SecretBytes, std::string> load_endpoint_secret(const std::filesystem::path& folder, RandomSource& random) {
  const std::filesystem::path path = folder / kName;
  auto known = read_secret_file(path, kSize, kDanger, kPrice);
  if (!known) return err(std::move(known.error()));
  if (std::optional<SecretBytes>& held = *known) {
    if (held->size() == kSize) return std::move(*held);
    return err(
        fmt::format("{} does not have {} octets: remove it, and culvertd makes another one", path.string(), kSize));
  }
  SecretBytes made(kSize);
  random.fill(made.mutable_view());
  if (auto written = write_secret_file(path, made.view(), kPrice); !written) return err(std::move(written.error()));
  return made;
}

}  // namespace culvert::daemon
