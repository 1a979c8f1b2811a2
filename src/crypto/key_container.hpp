// Where private keys come from beside plain files: encrypted PKCS#8 (RFC 5958), PKCS#12 (RFC 7292), and whatever an
// OpenSSL store or engine has a URI for, tokens of PKCS#11 (RFC 7512) before all. A key on a token never leaves it: it
// signs there, one signature at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/signature.hpp"

namespace culvert::crypto {

struct KeyContainer {
  PrivateKey key;
  std::vector<Certificate> certificates;  // the key's own first; may be empty
};

// All errors are the end of a sentence about the file, or the URI. An empty password is none.

/// PrivateKey::parse, also of what is encrypted: PKCS#8 in PEM or DER, or the older PEM with a DEK-Info header.
[[nodiscard]] Result<PrivateKey, std::string> parse_private_key(ByteView content, ByteView password);

/// Whether the content looks like a PKCS#12 file.
[[nodiscard]] bool is_pkcs12(ByteView content);
[[nodiscard]] Result<KeyContainer, std::string> parse_pkcs12(ByteView content, ByteView password);

/// Begins with a scheme ("pkcs11:", "file:", "handle:"), so it is no path.
[[nodiscard]] bool is_key_uri(std::string_view text);
/// The URI without what may be a secret in it ("pin-value"), printable.
[[nodiscard]] std::string printable_uri(std::string_view uri);
/// Asks for the password, or PIN, once at the most. May wait for a token. "?provider=NAME" at its end has that provider
/// of OpenSSL's loaded, for the whole process ("handle:0x81000001?provider=tpm2"). "pkcs11:" goes to a provider that
/// knows it, else to the engine of libp11, with the module that the attribute "module-path" names.
[[nodiscard]] Result<PrivateKey, std::string> load_key(std::string_view uri, ByteView password);
/// The certificates behind the URI, at least one; from a token that one. The password, or PIN, is used only where it is
/// asked for.
[[nodiscard]] Result<std::vector<Certificate>, std::string> load_certificates(std::string_view uri, ByteView password);

}  // namespace culvert::crypto
