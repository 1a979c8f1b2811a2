#include "ike/v2/tasks.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "ike/v2/closing.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/create_child_sa_initiator.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/informational_initiator.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/parallel.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"

namespace culvert::ike::v2 {
namespace {

// RFC 7296 2.2: message ids must not wrap; the IKE SA ends long before.
constexpr model::MessageId kLastMessageId{0xffff0000};

// A pair that the peer may not have yet is neither rekeyed nor deleted: it would say that there is none.
std::optional<Instant> blocked_until(const IkeSa& sa, const Task& task) {
  std::optional<model::ChildSaId> about;
  if (const auto* rekey = std::get_if<RekeyChildTask>(&task)) about = rekey->child;
  if (const auto* remove = std::get_if<DeleteChildTask>(&task)) about = remove->child;
  if (!about) return std::nullopt;
  const auto found = sa.children.find(*about);
  return found == sa.children.end() ? std::nullopt : found->second.unconfirmed_until;
}

Instant ready_at(const IkeSa& sa, const QueuedTask& queued) {
  const Instant confirmed = blocked_until(sa, queued.task).value_or(queued.not_before);
  const Instant clear = follow_ups_block(sa, queued.task).value_or(queued.not_before);
  return std::max({confirmed, clear, queued.not_before});
}

bool may_run(const IkeSa& sa, const Task& task) {
  switch (sa.phase) {
    case Phase::established: return true;
    // RFC 7296 2.8: the DELETE is the last request on a rekeyed IKE SA.
    case Phase::rekeyed: return std::holds_alternative<DeleteIkeTask>(task);
    case Phase::closing: return std::holds_alternative<DeleteIkeTask>(task) || std::holds_alternative<NotifyTask>(task);
    default: return false;
  }
}

// Alone, or beside what is under way.
bool may_begin(const IkeSa& sa, const Task& task) {
  return (sa.is_quiet() && sa.window.idle()) || may_run_beside(sa, task);
}

struct MakeExchange {
  Core& core;
  IkeSa& sa;

  std::unique_ptr<InitiatorExchange> operator()(const CreateChildTask& task) const {
    return std::make_unique<CreateChildSaInitiator>(core, sa, task);
  }
  std::unique_ptr<InitiatorExchange> operator()(const RekeyChildTask& task) const {
    return std::make_unique<CreateChildSaInitiator>(core, sa, task.child, task.retry);
  }
  std::unique_ptr<InitiatorExchange> operator()(const RekeyIkeTask& task) const {
    return std::make_unique<RekeyIkeSaInitiator>(core, sa, task.retry);
  }
  template <typename Other>
  std::unique_ptr<InitiatorExchange> operator()(const Other& task) const {
    return make_informational(core, sa, task);
  }
};

}  // namespace

void run_tasks(Core& core, IkeSa& sa) {
  if (sa.window.next_id() >= kLastMessageId && sa.announced)
    close_ike_sa(core, sa, CloseReason::lifetime_expired, Phase::gone);
  // RFC 6311 5: no request before its number is agreed on.
  if (awaits_counter_sync(sa)) return;
  while (sa.window.may_send(requests_to_come(sa))) {
    const auto next = std::ranges::find_if(sa.tasks, [&](const QueuedTask& queued) {
      return ready_at(sa, queued) <= core.now && may_run(sa, queued.task);
    });
    // What goes alone is not overtaken.
    if (next == sa.tasks.end() || !may_begin(sa, next->task)) return;
    auto exchange = std::visit(MakeExchange{core, sa}, next->task);
    const std::size_t further = exchange->requests_left() - 1;
    if (!sa.is_quiet() && !sa.window.may_send(requests_to_come(sa) + further)) return;
    sa.tasks.erase(next);
    begin_exchange(sa, std::move(exchange));
  }
}

std::optional<Instant> next_task_time(const Core& core, const IkeSa& sa) {
  std::optional<Instant> first;
  if (awaits_counter_sync(sa)) return first;
  // What could begin but for others begins with their end.
  const bool free = sa.is_quiet() && sa.window.idle();
  if (!free && !sa.window.is_wide()) return first;
  for (const QueuedTask& queued : sa.tasks) {
    const Instant at = ready_at(sa, queued);
    if (may_run(sa, queued.task) && (free || at > core.now)) first = earliest(first, at);
  }
  return first;
}

}  // namespace culvert::ike::v2
