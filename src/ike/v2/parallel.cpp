#include "ike/v2/parallel.hpp"

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "ike/v2/child_wish.hpp"
#include "ike/v2/requests.hpp"

namespace culvert::ike::v2 {
namespace {

// A peer may grant any number; so many are of use.
constexpr std::uint32_t kWidest = 64;

bool is_about_children(Activity activity) {
  return activity == Activity::create_child || activity == Activity::rekey_child || activity == Activity::delete_child;
}

// What both would make may be the same: one after the other, so that the second sees the first's.
bool may_repeat(const IkeSa& sa, const InitiatorExchange& other, const CreateChildTask& task) {
  if (other.activity() != Activity::create_child) return false;
  if (other.connection() != (task.guest ? task.guest : sa.connection)) return false;
  return !task.wish || other.wish() == nullptr || same_wish(*other.wish(), *task.wish);
}

std::optional<model::ChildSaId> child_of(const Task& task) {
  if (const auto* rekey = std::get_if<RekeyChildTask>(&task)) return rekey->child;
  if (const auto* remove = std::get_if<DeleteChildTask>(&task)) return remove->child;
  return std::nullopt;
}

template <typename Fits>
std::unique_ptr<InitiatorExchange> take(IkeSa& sa, Fits fits) {
  if (sa.exchange && fits(*sa.exchange)) return std::exchange(sa.exchange, nullptr);
  const auto found = std::ranges::find_if(sa.beside, [&](const auto& one) { return fits(*one); });
  if (found == sa.beside.end()) return nullptr;
  auto exchange = std::move(*found);
  sa.beside.erase(found);
  return exchange;
}

}  // namespace

bool may_run_beside(const IkeSa& sa, const Task& task) {
  if (!sa.window.is_wide() || sa.phase != Phase::established) return false;
  const auto* create = std::get_if<CreateChildTask>(&task);
  const auto child = child_of(task);
  if (create == nullptr && !child && !std::holds_alternative<DeleteUnknownChildTask>(task)) return false;
  return std::ranges::all_of(sa.exchanges(), [&](const InitiatorExchange* other) {
    if (!is_about_children(other->activity())) return false;
    if (create != nullptr && may_repeat(sa, *other, *create)) return false;
    return !child || other->child() != child;
  });
}

std::size_t requests_to_come(const IkeSa& sa) {
  std::size_t sum = 0;
  for (const InitiatorExchange* one : sa.exchanges()) sum += one->requests_left();
  return sum;
}

void begin_exchange(IkeSa& sa, std::unique_ptr<InitiatorExchange> exchange) {
  const model::MessageId next = sa.window.next_id();
  if (exchange->start() == Progression::waiting) put_back(sa, std::move(exchange), next);
}

std::unique_ptr<InitiatorExchange> take_exchange(IkeSa& sa, model::MessageId response) {
  // Before the IKE SA stands there is one at a time, which keeps no number.
  return take(sa, [&](const InitiatorExchange& one) {
    return one.request() ? *one.request() == response : sa.phase != Phase::established;
  });
}

std::unique_ptr<InitiatorExchange> take_exchange(IkeSa& sa, RequestToken completion) {
  return take(sa, [&](const InitiatorExchange& one) { return one.awaits(completion); });
}

void put_back(IkeSa& sa, std::unique_ptr<InitiatorExchange> exchange, model::MessageId next) {
  if (sa.window.next_id() != next) exchange->note_sent(model::MessageId(sa.window.next_id().value() - 1));
  if (!sa.exchange) {
    sa.exchange = std::move(exchange);
  } else {
    sa.beside.push_back(std::move(exchange));
  }
}

void abandon_exchanges(IkeSa& sa) {
  if (const auto exchange = std::exchange(sa.exchange, nullptr)) exchange->abandon();
  for (const auto& one : std::exchange(sa.beside, {})) one->abandon();
}

void add_window(const Core& core, IkeSa& sa, model::ExchangeType exchange, codec::Message& message) {
  const bool may_stand = exchange == model::ExchangeType::ike_auth || exchange == model::ExchangeType::informational ||
                         exchange == model::ExchangeType::create_child_sa;
  const bool right = sa.phase == Phase::established || sa.phase == Phase::authenticating;
  if (sa.window_told || !may_stand || !right || message.error_notify() != nullptr || !sa.connection) return;
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config == nullptr || config->ike_window <= 1) return;
  ByteWriter data;
  data.u32(config->ike_window);
  message.add_notify(model::NotifyType::set_window_size, data.view());
  sa.window.widen(config->ike_window);
  sa.window_told = true;
}

void take_window(const Core& core, IkeSa& sa, const codec::Message& message) {
  const auto* notify = message.notify(model::NotifyType::set_window_size);
  if (notify == nullptr || notify->data.size() != 4 || !sa.connection) return;
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config == nullptr) return;
  sa.window.grant(std::min({load_be32(notify->data.data()), config->ike_window, kWidest}));
}

void answer_held(Core& core, IkeSa& sa) {
  while (!sa.responder && !sa.held.empty()) {
    const std::unique_ptr<HeldRequest> one = std::move(sa.held.front());
    sa.held.erase(sa.held.begin());
    core.judged = false;
    dispatch_request(core, sa, one->path, one->form, one->request);
  }
}

}  // namespace culvert::ike::v2
