// Which identities of IKE a certificate has (RFC 4945 3.1).
#pragma once

#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "model/identity.hpp"

namespace culvert::model {

/// All identities of a certificate: the subject, if it is not empty, then the alternative names in their order.
[[nodiscard]] std::vector<Identity> identities_of(const crypto::Certificate& certificate);
/// The certificate has the identity as an alternative name of its kind, or as its subject.
[[nodiscard]] bool has_identity(const crypto::Certificate& certificate, const Identity& identity);
/// The first few of them, for a message.
[[nodiscard]] std::string identities_text(const crypto::Certificate& certificate);
/// The one to show when none is configured (RFC 4945 3.1.8): a name of a host, else a mail address, else the subject,
/// else an address. Nothing for a certificate without any.
[[nodiscard]] std::optional<Identity> preferred_identity(const crypto::Certificate& certificate);

}  // namespace culvert::model
