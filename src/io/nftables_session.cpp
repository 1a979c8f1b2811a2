#include "io/nftables_session.hpp"

#include <string_view>

#include <linux/netlink.h>
#include <sys/socket.h>

#include <nftables/libnftables.h>

#include "io/file_descriptor.hpp"

namespace culvert::io {
namespace {

/// libnftables ends the process where the kernel has no such socket.
bool has_netfilter() {
  const FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  return socket.valid();
}

}  // namespace

NftablesSession::NftablesSession() : handle_(has_netfilter() ? nft_ctx_new(NFT_CTX_DEFAULT) : nullptr) {
  if (handle_ == nullptr) return;
  nft_ctx_buffer_output(handle_);
  nft_ctx_buffer_error(handle_);
}

NftablesSession::~NftablesSession() {
  if (handle_ != nullptr) nft_ctx_free(handle_);
}

void NftablesSession::numeric() {
  if (handle_ != nullptr)
    nft_ctx_output_set_flags(handle_,
                             NFT_CTX_OUTPUT_NUMERIC_PROTO | NFT_CTX_OUTPUT_NUMERIC_PRIO | NFT_CTX_OUTPUT_STATELESS);
}

bool NftablesSession::run(const std::string& text) {
  return handle_ != nullptr && nft_run_cmd_from_buffer(handle_, text.c_str()) == 0;
}

std::string NftablesSession::output() const {
  const char* text = handle_ != nullptr ? nft_ctx_get_output_buffer(handle_) : nullptr;
  return text == nullptr ? std::string() : std::string(text);
}

std::string NftablesSession::reason() const {
  const char* said = handle_ != nullptr ? nft_ctx_get_error_buffer(handle_) : nullptr;
  if (said == nullptr || *said == 0) return "no netlink socket";
  const std::string_view text(said);
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace culvert::io
