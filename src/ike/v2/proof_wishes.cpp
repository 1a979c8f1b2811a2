#include "ike/v2/proof_wishes.hpp"

#include <algorithm>

#include "ike/auth/announced_methods.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/codec/parse.hpp"
#include "ike/codec/serialize.hpp"
#include "ike/v2/auth_rounds.hpp"

namespace culvert::ike::v2 {
namespace {

using model::Authentication;
using model::CertificateEncoding;
using model::NotifyType;

constexpr std::size_t kMostOcsp = 4;                           // responses of a message that are looked at
constexpr std::size_t kMostOcspSize = std::size_t{16} * 1024;  // octets of one

struct Wanted {
  bool by_url = false;
  bool ocsp = false;
  std::vector<Authentication> authentications;
};

void add_methods(codec::Message& message, const Wanted& wanted) {
  std::vector<model::AnnouncedMethod> methods;
  for (const Authentication one : wanted.authentications) {
    for (model::AnnouncedMethod& method : auth::accepted_methods(one)) methods.push_back(std::move(method));
  }
  if (!methods.empty()) message.add_notify(NotifyType::supported_auth_methods, auth::encode_methods(methods));
}

void add(codec::Message& message, const Wanted& wanted) {
  // RFC 7296 3.6: said where CERTREQ may stand.
  if (wanted.by_url) message.add_notify(NotifyType::http_cert_lookup_supported);
  // RFC 4806 3.1: without hashes, any responder of the authority's will do.
  if (wanted.ocsp) message.add(codec::CertReqPayload{.encoding = CertificateEncoding::ocsp_content, .authorities = {}});
  add_methods(message, wanted);
}

/// Each way that the peer may prove itself by in some round, once. EAP is no method of this registry: it is asked for
/// by leaving AUTH out.
void add_ways(const model::ConnectionConfig& config, std::vector<Authentication>& all) {
  for (std::size_t round = 0; round < peer_round_count(config); ++round) {
    const auto way = peer_way(config, round);
    if (way && std::ranges::find(all, *way) == all.end()) all.push_back(*way);
  }
}

// RFC 7296 3.6: SHA-1 of the certificate, then the URL.
std::optional<model::CertificateByUrl> reference_of(ByteView data, std::size_t place) {
  if (data.size() <= model::kAuthorityDigest || data.size() > model::kAuthorityDigest + model::kMostUrl)
    return std::nullopt;
  const ByteView url = data.subspan(model::kAuthorityDigest);
  return model::CertificateByUrl{.place = place,
                                 .hash = to_bytes(data.first(model::kAuthorityDigest)),
                                 .url = {reinterpret_cast<const char*>(url.data()), url.size()}};
}

}  // namespace

model::ProofWishes wishes_of(const codec::Message& message) {
  model::ProofWishes wishes;
  for (const auto* request : message.all<codec::CertReqPayload>()) {
    if (request->encoding == CertificateEncoding::ocsp_content) wishes.ocsp = true;
    if (request->encoding != CertificateEncoding::x509_signature) continue;
    const std::size_t room = model::kMostAuthorities * model::kAuthorityDigest - wishes.authorities.size();
    // RFC 7296 3.7: digests of 20 octets, one behind the other; a piece of one is none.
    std::size_t size = std::min(request->authorities.size(), room);
    size -= size % model::kAuthorityDigest;
    const auto begin = request->authorities.begin();
    wishes.authorities.insert(wishes.authorities.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
  }
  wishes.several_rounds = message.notify(NotifyType::multiple_auth_supported) != nullptr;
  wishes.by_url = message.notify(NotifyType::http_cert_lookup_supported) != nullptr;
  for (const auto* notify : message.all<codec::NotifyPayload>()) {
    // RFC 9593 3.1: several make one list.
    if (notify->type == NotifyType::supported_auth_methods) auth::decode_methods(notify->data, wishes.methods);
  }
  return wishes;
}

void add_proof_wishes(codec::Message& message, const model::ConnectionConfig& config) {
  Wanted wanted{.by_url = config.certificates_by_url, .ocsp = config.ask_ocsp, .authentications = {}};
  add_ways(config, wanted.authentications);
  add(message, wanted);
}

namespace {

// Of all that the connections for the path may turn out to want.
Wanted wanted_by_any(const ConnectionTable& connections, const net::Path& path) {
  constexpr int kMostVisits = 64;
  Wanted wanted;
  int visits = 0;
  connections.find_candidate(path, [&](const model::ConnectionConfig& config) {
    wanted.by_url = wanted.by_url || config.certificates_by_url;
    wanted.ocsp = wanted.ocsp || config.ask_ocsp;
    add_ways(config, wanted.authentications);
    return ++visits == kMostVisits;
  });
  // Many connections: those that were not looked at may take what the others do not.
  if (visits == kMostVisits) wanted.authentications.clear();
  return wanted;
}

bool is_methods(const codec::Payload& payload) {
  const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
  return notify != nullptr && notify->type == NotifyType::supported_auth_methods;
}

}  // namespace

void add_proof_wishes(codec::Message& message, const ConnectionTable& connections, const net::Path& path) {
  add(message, wanted_by_any(connections, path));
}

// RFC 9593 3.1: the list must not bring IKE_SA_INIT into IP fragments, which many a path drops. It only helps the peer
// to choose, and what is not in it counts as not taken: so every kind of key stays in it, or it is left out.
Bytes serialize_within(codec::Message message, std::size_t room, bool intermediate) {
  Bytes octets = codec::serialize(message);
  if (octets.size() <= room) return octets;
  const auto list = std::ranges::find_if(message.payloads, is_methods);
  if (list == message.payloads.end()) return octets;
  auto& notify = std::get<codec::NotifyPayload>(*list);
  if (intermediate) {
    // RFC 9593 3.1: without data it says that the list comes in IKE_INTERMEDIATE, which goes in fragments of its own.
    notify.data.clear();
    return codec::serialize(message);
  }
  std::vector<model::AnnouncedMethod> methods;
  auth::decode_methods(notify.data, methods);
  notify.data = auth::encode_methods(auth::in_brief(std::move(methods)));
  octets = codec::serialize(message);
  if (octets.size() <= room) return octets;
  message.payloads.erase(list);
  return codec::serialize(message);
}

// RFC 9593 3.1: in the last of them. CERTREQ need not be repeated, for none of ours is linked to an authority.
void add_owed_methods(codec::Message& message, ByteView init_response, const ConnectionTable& connections,
                      const net::Path& path) {
  const auto said = codec::parse_message(init_response);
  if (!said) return;
  const auto list = std::ranges::find_if(said->payloads, is_methods);
  if (list == said->payloads.end() || !std::get<codec::NotifyPayload>(*list).data.empty()) return;
  add_methods(message, wanted_by_any(connections, path));
}

// RFC 9593 3.1: links are to the authorities of the CERTREQ beside the list, else to those of IKE_SA_INIT.
void take_owed_methods(const codec::Message& message, model::ProofWishes& wishes) {
  if (!wishes.methods.empty()) return;
  model::ProofWishes later = wishes_of(message);
  if (later.methods.empty()) return;
  wishes.methods = std::move(later.methods);
  if (!later.authorities.empty()) wishes.authorities = std::move(later.authorities);
}

void read_certificates(const codec::Message& message, bool by_url, VerifyRequest& request) {
  for (const auto* payload : message.all<codec::CertPayload>()) {
    switch (payload->encoding) {
      case CertificateEncoding::x509_signature: request.certificates.push_back(payload->data); break;
      case CertificateEncoding::hash_and_url_x509: {
        if (!by_url) continue;
        auto reference = reference_of(payload->data, request.certificates.size());
        if (!reference) continue;
        request.by_url.push_back(std::move(*reference));
        request.certificates.emplace_back();
        break;
      }
      case CertificateEncoding::ocsp_content:
        if (request.ocsp.size() < kMostOcsp && payload->data.size() <= kMostOcspSize)
          request.ocsp.push_back(payload->data);
        continue;
      case CertificateEncoding::raw_public_key:
        if (!request.raw_key) request.raw_key = payload->data;
        continue;
      // Others are of no use without being asked for (RFC 7296 3.6).
      default: continue;
    }
    // One more than is looked at: by it, it is seen that there were too many.
    if (request.certificates.size() > auth::kMostCertificates) break;
  }
}

}  // namespace culvert::ike::v2
