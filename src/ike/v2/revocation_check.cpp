#include "ike/v2/revocation_check.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/prf.hpp"
#include "ike/auth/certificate_proof.hpp"
#include "ike/v2/credentials.hpp"

namespace culvert::ike::v2 {
namespace {

using crypto::Certificate;
using crypto::RevocationStatus;
using model::AuthenticationRefusal;
using State = RevocationStatus::State;

constexpr std::size_t kNonce = 16;     // RFC 8954 2.1
constexpr std::size_t kAskedUrls = 2;  // of each kind, for one certificate

AuthenticationRefusal refusal(const Certificate& certificate, std::string check, std::string found) {
  return {certificate.subject(), certificate.serial(), std::move(check), std::move(found)};
}

/// One of the prefixes has the whole host of the URL, which is then the user's choice and not the peer's.
bool names_host_of(const std::vector<std::string>& prefixes, const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  return std::ranges::any_of(prefixes, [&](const std::string& prefix) {
    return url.starts_with(prefix) && prefix.find('/', kScheme.size()) != std::string::npos;
  });
}

/// One examination on its way.
class Examiner {
 public:
  Examiner(const VerifyRequest& request, const Credentials& credentials, crypto::CalendarTime now,
           const Evidence& evidence, RandomSource& random, bool last)
      : request_(request), credentials_(credentials), now_(now), evidence_(evidence), random_(random), last_(last) {}

  Examination run() {
    std::vector<Bytes> certificates = request_.certificates;
    for (const model::CertificateByUrl& one : request_.by_url) {
      if (auto refused = take(one, certificates)) return done(std::move(refused));
    }
    if (!made_.wishes.empty()) return std::move(made_);
    const auth::Proof proof{request_.method, request_.auth};
    const auth::PeerClaim claim{.identity = request_.identity,
                                .proof = proof,
                                .octets = request_.octets,
                                .certificates = certificates,
                                .raw_key = request_.raw_key,
                                .sha1_allowed = credentials_.sha1_allowed};
    const auto peer = believed_in(credentials_, request_.round);
    if (const auto* key = std::get_if<crypto::PublicKey>(&peer)) return done(auth::judge(claim, *key));
    std::vector<Certificate> path;
    // CVE-2022-40617: nobody is asked about a certificate that is not believed, or of a peer that has not signed.
    auto refused = auth::judge(claim, std::get<crypto::TrustStore>(peer), now_, &path);
    made_.result.good_until = auth::end_of(path);
    if (refused || !credentials_.revocation) return done(std::move(refused));
    // RFC 5280 6.1: the authority is believed as it is; nobody is asked about it.
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      if (auto revoked = look_up(path[i], path[i + 1])) return done(std::move(revoked));
    }
    return std::move(made_);
  }

 private:
  Examination done(std::optional<AuthenticationRefusal> refused) {
    made_.result.refusal = std::move(refused);
    made_.wishes.clear();
    return std::move(made_);
  }

  [[nodiscard]] bool is_recent(const Fetched& one) const { return one.at + kRetryFetch >= now_; }

  template <typename Key>
  [[nodiscard]] static const Fetched* find(const std::map<Key, std::shared_ptr<const Fetched>>& all, const Key& key) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : found->second.get();
  }

  /// RFC 7296 3.6: the certificate behind the URL, which must have the hash.
  std::optional<AuthenticationRefusal> take(const model::CertificateByUrl& one, std::vector<Bytes>& certificates) {
    const auto fault = [&](const std::string& why) {
      return AuthenticationRefusal{
          {},
          {},
          "certificate",
          fmt::format("the peer's {}. certificate is at {}: {}", one.place + 1, escaped(one.url, 120), why)};
    };
    // The peer is not authenticated: it must not choose whom we send requests to.
    const bool allowed = one.url.find("/../") == std::string::npos &&
                         std::ranges::any_of(credentials_.fetch_from,
                                             [&](const std::string& prefix) { return one.url.starts_with(prefix); });
    if (!allowed) return fault("fetch_certificates does not allow to fetch it");
    const Fetched* held = find(evidence_.certificates, one.url);
    const bool right = held != nullptr && crypto::hash(crypto::HashId::sha1, {held->octets}) == one.hash;
    if (right) {
      certificates[one.place] = held->octets;
      return std::nullopt;
    }
    if (last_ || (held != nullptr && is_recent(*held)))
      return fault(held == nullptr       ? "there was no answer in time"
                   : held->fault.empty() ? "what is there has not the hash that the peer told"
                                         : held->fault);
    made_.wishes.push_back({.kind = FetchWish::Kind::certificate,
                            .url = one.url,
                            .question = {},
                            .key = {},
                            .nonce = {},
                            .within = credentials_.fetch_from,
                            .may_be_near = names_host_of(credentials_.fetch_from, one.url)});
    return std::nullopt;
  }

  /// True when the status settles the matter; keeps the reason when it does not.
  bool settles(const RevocationStatus& status, std::string_view source, std::optional<AuthenticationRefusal>& refused,
               const Certificate& certificate, std::string& why) const {
    if (status.state == State::good) return true;
    if (status.state == State::revoked) {
      refused = refusal(certificate, "revoked", fmt::format("{}, says {}", status.found, source));
      return true;
    }
    why += fmt::format("{}{} {}", why.empty() ? "" : "; ", source, status.found);
    return false;
  }

  /// RFC 6960 4.2.2.2.1: what a responder says counts that is not revoked itself: by the OCSP responder that its
  /// certificate names, or by the lists of who certified it. While either is awaited `good` is unknown.
  RevocationStatus vouched(RevocationStatus status, const Certificate& issuer) {
    if (!status.responder) return status;
    const Certificate responder = std::move(*status.responder);
    status.responder.reset();
    std::optional<AuthenticationRefusal> refused;
    std::string why;
    const std::size_t wishes = made_.wishes.size();
    bool known =
        ask_known(responder, issuer, refused, why) || ask_ocsp(responder, issuer, refused, why, Subject::responder);
    if (!known && made_.wishes.size() == wishes) known = ask_lists(responder, issuer, refused, why);
    if (known && !refused) return status;
    const std::string who = fmt::format("is signed by {} (serial {})", responder.subject(), responder.serial());
    if (refused)
      return {.state = State::unknown, .found = fmt::format("{}, which is {}", who, refused->found), .until = {}};
    // Nobody is let in by what a doubtful responder says, and nobody needs to be who is revoked by it.
    if (status.state != State::good) return status;
    if (why.empty()) why = "its certificate has no id-pkix-ocsp-nocheck, and names neither a responder nor a list";
    return {.state = State::unknown,
            .found = fmt::format("{}, and whether that is revoked is not known: {}", who, why),
            .until = {}};
  }

  /// Whom a response about a responder counts from: who certified it, or another that need not be looked up. It would
  /// speak for itself else, or a chain of them would have no end.
  static RevocationStatus beyond_doubt(RevocationStatus status) {
    if (!status.responder) return status;
    return {.state = State::unknown,
            .found = fmt::format("is signed by {} (serial {}), which may be revoked itself",
                                 status.responder->subject(), status.responder->serial()),
            .until = {}};
  }

  bool ask_known(const Certificate& certificate, const Certificate& issuer,
                 std::optional<AuthenticationRefusal>& refused, std::string& why) const {
    return std::ranges::any_of(credentials_.revocation->known, [&](const crypto::RevocationList& list) {
      return list.issuer() == certificate.issuer() &&
             settles(crypto::judge_list(list, certificate, issuer, now_), "the list of crl", refused, certificate, why);
    });
  }

  std::optional<AuthenticationRefusal> look_up(const Certificate& certificate, const Certificate& issuer) {
    std::optional<AuthenticationRefusal> refused;
    std::string why;
    const std::size_t wishes = made_.wishes.size();
    for (const Bytes& response : request_.ocsp) {
      auto status = crypto::judge_ocsp(response, certificate, issuer, now_);
      std::string unused;  // it may be about another certificate of the path
      std::string& reason = status.state == State::unknown ? unused : why;
      status = vouched(std::move(status), issuer);
      if (settles(status, "the OCSP response that the peer sent", refused, certificate, reason)) return refused;
    }
    if (ask_known(certificate, issuer, refused, why)) return refused;
    if (made_.wishes.size() != wishes) return std::nullopt;
    if (ask_ocsp(certificate, issuer, refused, why)) return refused;
    // One way after the other: lists are long.
    if (made_.wishes.size() == wishes && ask_lists(certificate, issuer, refused, why)) return refused;
    if (made_.wishes.size() != wishes) return std::nullopt;
    if (why.empty()) why = nowhere(crypto::revocation_places(certificate).other);
    if (credentials_.revocation->strict) return refusal(certificate, "revocation_unknown", why);
    made_.notes.push_back(fmt::format("whether certificate {} (serial {}) is revoked is not known: {}",
                                      certificate.subject(), certificate.serial(), why));
    return std::nullopt;
  }

  /// There is nobody to be asked: why.
  static std::string nowhere(const std::vector<std::string>& other) {
    if (other.empty()) return "it names neither an OCSP responder nor a list that can be fetched (http)";
    // RFC 5280 8: whether the server's own certificate is revoked would have to be known first.
    return fmt::format("it names {}, but only what has a URL of http is fetched", fmt::join(other, " and "));
  }

  /// Whom the question is about: a certificate of the peer's path, or a responder that has spoken about one.
  enum class Subject : std::uint8_t { path, responder };
  bool ask_ocsp(const Certificate& certificate, const Certificate& issuer,
                std::optional<AuthenticationRefusal>& refused, std::string& why, Subject subject = Subject::path) {
    const bool configured = !credentials_.revocation->ocsp.empty();
    const std::vector<std::string> urls =
        configured ? credentials_.revocation->ocsp : crypto::revocation_places(certificate).ocsp;
    if (urls.empty()) return false;
    Bytes nonce(kNonce);
    random_.fill(nonce);
    auto question = crypto::ocsp_question(certificate, issuer, nonce);
    if (!question) return false;
    const Fetched* held = find(evidence_.ocsp, question->id);
    if (held != nullptr && held->fault.empty() && held->at + kEvidenceAge >= now_) {
      auto status = crypto::judge_ocsp(held->octets, certificate, issuer, now_, held->nonce);
      status = subject == Subject::path ? vouched(std::move(status), issuer) : beyond_doubt(std::move(status));
      if (settles(status, fmt::format("the OCSP responder {}", held->url), refused, certificate, why)) return true;
    } else if (held != nullptr && !held->fault.empty() && is_recent(*held)) {
      why += fmt::format("{}the OCSP responder {}: {}", why.empty() ? "" : "; ", held->url, held->fault);
    }
    if (last_ || (held != nullptr && is_recent(*held))) {
      if (held == nullptr)
        why += fmt::format("{}the OCSP responder {} did not answer", why.empty() ? "" : "; ", urls[0]);
      return false;
    }
    made_.wishes.push_back({.kind = FetchWish::Kind::ocsp,
                            .url = urls.front(),
                            .question = std::move(question->request),
                            .key = std::move(question->id),
                            .nonce = std::move(nonce),
                            .may_be_near = configured});
    return false;
  }

  bool ask_lists(const Certificate& certificate, const Certificate& issuer,
                 std::optional<AuthenticationRefusal>& refused, std::string& why) {
    std::vector<std::string> urls = crypto::revocation_places(certificate).lists;
    if (urls.size() > kAskedUrls) urls.resize(kAskedUrls);
    urls.insert(urls.end(), credentials_.revocation->lists.begin(), credentials_.revocation->lists.end());
    for (const std::string& url : urls) {
      const Fetched* held = find(evidence_.lists, url);
      if (held != nullptr && held->list) {
        const auto status = crypto::judge_list(*held->list, certificate, issuer, now_);
        if (settles(status, fmt::format("the list of {}", url), refused, certificate, why)) return true;
      } else if (held != nullptr && is_recent(*held)) {
        why += fmt::format("{}the list of {}: {}", why.empty() ? "" : "; ", url, held->fault);
      }
      // The authority may have changed its key since.
      const bool anew = held != nullptr && held->kept;
      const bool tried = held != nullptr && is_recent(*held) && !anew;
      if (!last_ && !tried) {
        made_.wishes.push_back({.kind = FetchWish::Kind::list,
                                .url = url,
                                .question = {},
                                .key = {},
                                .nonce = {},
                                .anew = anew,
                                .may_be_near = std::ranges::find(credentials_.revocation->lists, url) !=
                                               credentials_.revocation->lists.end()});
      } else if (held == nullptr) {
        why += fmt::format("{}the list of {} did not come in time", why.empty() ? "" : "; ", url);
      }
    }
    return false;
  }

  const VerifyRequest& request_;
  const Credentials& credentials_;
  crypto::CalendarTime now_;
  const Evidence& evidence_;
  RandomSource& random_;
  bool last_;
  Examination made_;
};

}  // namespace

Examination examine(const VerifyRequest& request, const Credentials& credentials, crypto::CalendarTime now,
                    const Evidence& evidence, RandomSource& random, bool last) {
  return Examiner(request, credentials, now, evidence, random, last).run();
}

Staple staple(const SignRequest& request, const Credentials& credentials, crypto::CalendarTime now,
              const Evidence& evidence, RandomSource& random) {
  if (!request.wishes.ocsp || !credentials.revocation) return {};
  const OwnChain chain = chain_at(credentials, choose_chain(credentials, request));
  if (chain.certificates.empty() || chain.issuer.empty()) return {};
  const auto own = Certificate::from_der(chain.certificates.front());
  const auto issuer = Certificate::from_der(chain.issuer);
  if (!own || !issuer) return {};
  const std::vector<std::string> urls = crypto::revocation_places(*own).ocsp;
  Bytes nonce(kNonce);
  random.fill(nonce);
  auto question = crypto::ocsp_question(*own, *issuer, nonce);
  if (!question) return {};
  const auto found = evidence.ocsp.find(question->id);
  if (found != evidence.ocsp.end()) {
    const Fetched& held = *found->second;
    const bool fresh = held.fault.empty() && held.at + kEvidenceAge >= now;
    // Whatever it says of us: the peer is to judge. Nothing is sent that it could not use.
    if (fresh && crypto::judge_ocsp(held.octets, *own, *issuer, now, held.nonce).state != State::unknown)
      return {.wish = std::nullopt, .response = held.octets};
    if (held.at + kRetryFetch >= now) return {};
  }
  if (urls.empty()) return {};
  return {.wish = FetchWish{.kind = FetchWish::Kind::ocsp,
                            .url = urls.front(),
                            .question = std::move(question->request),
                            .key = std::move(question->id),
                            .nonce = std::move(nonce),
                            .may_be_near = true},
          .response = {}};
}

}  // namespace culvert::ike::v2
