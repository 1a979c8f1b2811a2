#include "ike/v2/eap_sessions.hpp"

#include <utility>

#include "ike/v2/eap_result.hpp"

namespace culvert::ike::v2 {

std::shared_ptr<EapSessions::Session> EapSessions::open(const EapRequest& request,
                                                        std::shared_ptr<const EapParties> parties,
                                                        crypto::CalendarTime now) {
  if (!parties || request.settings.methods.empty()) return nullptr;
  // The oldest goes; their numbers rise.
  if (sessions_.size() >= kMost) sessions_.erase(sessions_.begin());
  auto session = std::make_shared<Session>(Session{.parties = std::move(parties), .side = {}});
  const model::EapSettings& settings = request.settings;
  eap::TlsTerms tls{.context = session->parties->tls, .inner = settings.inner, .server = settings.server, .now = now};
  if (settings.client) {
    session->side =
        std::make_unique<eap::EapClient>(settings.methods, settings.identity, session->parties->own_secret.clone(),
                                         random_, std::move(tls), settings.outer_identity);
  } else {
    session->side = std::make_unique<eap::EapServer>(settings.methods, random_, *session->parties, std::move(tls));
  }
  sessions_.insert_or_assign(request.ike_sa, session);
  return session;
}

EapSessions::Work EapSessions::work_for(EapRequest request, std::shared_ptr<const EapParties> parties,
                                        crypto::CalendarTime now) {
  if (request.step == EapRequest::Step::end) {
    sessions_.erase(request.ike_sa);
    return [] { return EapResult(); };
  }
  const auto found = sessions_.find(request.ike_sa);
  const bool begins = request.step == EapRequest::Step::begin || (found == sessions_.end() && request.settings.client);
  std::shared_ptr<Session> session = begins                     ? open(request, std::move(parties), now)
                                     : found == sessions_.end() ? nullptr
                                                                : found->second;
  if (session == nullptr)
    return [] { return local_failure("the conversation is not known here, or the connection is gone"); };
  return [begins, session = std::move(session), packet = std::move(request.packet)] {
    if (const auto* client = std::get_if<std::unique_ptr<eap::EapClient>>(&session->side))
      return to_result((*client)->handle(packet));
    eap::EapServer& server = *std::get<std::unique_ptr<eap::EapServer>>(session->side);
    return to_result(begins ? server.begin() : server.handle(packet));
  };
}

}  // namespace culvert::ike::v2
