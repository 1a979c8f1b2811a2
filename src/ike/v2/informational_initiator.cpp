#include "ike/v2/informational_initiator.hpp"

#include <utility>

#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/resumption.hpp"

namespace culvert::ike::v2 {
namespace {

class Informational : public InitiatorExchange {
 public:
  Informational(Core& core, IkeSa& sa) : core_(core), sa_(sa) {}
  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::informational; }
  [[nodiscard]] Activity activity() const override { return Activity::inform; }
  void handle_bad_response(const std::string&) override {}
  [[nodiscard]] bool awaits(RequestToken /*token*/) const override { return false; }

 protected:
  Core& core_;
  IkeSa& sa_;
};

class DeleteChildInitiator final : public Informational {
 public:
  DeleteChildInitiator(Core& core, IkeSa& sa, const DeleteChildTask& task) : Informational(core, sa), task_(task) {}
  [[nodiscard]] Activity activity() const override { return Activity::delete_child; }
  [[nodiscard]] std::optional<model::ChildSaId> child() const override { return task_.child; }
  [[nodiscard]] std::optional<Task> anew() const override { return task_; }

  Progression start() override {
    const ChildSa* found = sa_.find_child(task_.child);
    if (found == nullptr) return Progression::done;  // the peer was faster
    // RFC 7296 1.4.1: the SPI of our inbound side; the peer answers with that of its own.
    codec::Message message;
    message.add(codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {found->spi_inbound}});
    send_request(core_, sa_, type(), std::move(message));
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message&) override {
    // Gone already if the peer's own DELETE crossed ours (RFC 7296 1.4.1, 2.25.1).
    remove_child(core_, sa_, task_.child, task_.reason, kInboundLinger);
    return Progression::done;
  }

 private:
  DeleteChildTask task_;
};

class DeleteUnknownChildInitiator final : public Informational {
 public:
  DeleteUnknownChildInitiator(Core& core, IkeSa& sa, const DeleteUnknownChildTask& task)
      : Informational(core, sa), task_(task) {}
  [[nodiscard]] Activity activity() const override { return Activity::delete_child; }
  // The SPI is given back with this one.
  [[nodiscard]] std::optional<Task> anew() const override {
    return DeleteUnknownChildTask{.spi_inbound = task_.spi_inbound, .reserved = false};
  }

  Progression start() override {
    codec::Message message;
    message.add(codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = {task_.spi_inbound}});
    send_request(core_, sa_, type(), std::move(message));
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message&) override {
    release();
    return Progression::done;
  }
  void handle_bad_response(const std::string&) override { release(); }
  void abandon() override { release(); }

 private:
  // An SPI that was never installed here is free once the peer has forgotten it.
  void release() {
    if (task_.reserved) core_.esp_spis.release(task_.spi_inbound);
  }

  DeleteUnknownChildTask task_;
};

class DeleteIkeInitiator final : public Informational {
 public:
  DeleteIkeInitiator(Core& core, IkeSa& sa, const DeleteIkeTask& task)
      : Informational(core, sa), reason_(task.reason) {}
  [[nodiscard]] Activity activity() const override { return Activity::delete_ike; }
  [[nodiscard]] std::optional<Task> anew() const override { return DeleteIkeTask{.reason = reason_}; }

  Progression start() override {
    codec::Message message;
    message.add(codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}});
    // Nobody waits for the answer but the peer's bookkeeping.
    const bool farewell = sa_.phase != Phase::established;
    send_request(core_, sa_, type(), std::move(message),
                 farewell ? std::optional(Core::hasty_retransmission()) : std::nullopt);
    return Progression::waiting;
  }

  Progression handle_response(const codec::Message&) override {
    close_ike_sa(core_, sa_, reason_, Phase::gone);
    return Progression::done;
  }

 private:
  CloseReason reason_;
};

class LivenessInitiator final : public Informational {
 public:
  LivenessInitiator(Core& core, IkeSa& sa, const LivenessTask& task) : Informational(core, sa), hasty_(task.hasty) {}

  Progression start() override {
    codec::Message message;
    add_path_questions(message, core_, sa_);
    send_request(core_, sa_, type(), std::move(message),
                 hasty_ ? std::optional(Core::hasty_retransmission()) : std::nullopt);
    return Progression::waiting;
  }
  Progression handle_response(const codec::Message& response) override {
    judge_path_answers(core_, sa_, response);
    return Progression::done;
  }

 private:
  bool hasty_;
};

class NotifyInitiator final : public Informational {
 public:
  NotifyInitiator(Core& core, IkeSa& sa, NotifyTask task) : Informational(core, sa), task_(std::move(task)) {}
  [[nodiscard]] std::optional<Task> anew() const override { return task_; }

  Progression start() override {
    codec::Message message;
    // RFC 6290 4.1: a crash token is about the IKE SA.
    const bool about_ike_sa = task_.type == model::NotifyType::quick_crash_detection;
    message.add(codec::NotifyPayload{.protocol = about_ike_sa ? model::ProtocolId::ike : model::ProtocolId::none,
                                     .spi = {},
                                     .type = task_.type,
                                     .data = task_.data});
    const bool farewell = sa_.phase == Phase::closing;
    // RFC 7296 2.21.2 has the notification end the IKE SA by itself; libreswan answers it and goes on with the IKE SA
    // and its Child SA until liveness tells it otherwise. What a DELETE says, every peer understands.
    if (farewell) message.add(codec::DeletePayload{.protocol = model::ProtocolId::ike, .spis = {}});
    send_request(core_, sa_, type(), std::move(message),
                 farewell ? std::optional(Core::hasty_retransmission()) : std::nullopt);
    return Progression::waiting;
  }
  Progression handle_response(const codec::Message& response) override {
    if (task_.type == model::NotifyType::ticket_request) take_ticket(core_, sa_, response);
    if (sa_.phase == Phase::closing) sa_.phase = Phase::gone;
    return Progression::done;
  }

 private:
  NotifyTask task_;
};

}  // namespace

std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const DeleteChildTask& task) {
  return std::make_unique<DeleteChildInitiator>(core, sa, task);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const DeleteUnknownChildTask& task) {
  return std::make_unique<DeleteUnknownChildInitiator>(core, sa, task);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const DeleteIkeTask& task) {
  return std::make_unique<DeleteIkeInitiator>(core, sa, task);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const LivenessTask& task) {
  return std::make_unique<LivenessInitiator>(core, sa, task);
}
std::unique_ptr<InitiatorExchange> make_informational(Core& core, IkeSa& sa, const NotifyTask& task) {
  return std::make_unique<NotifyInitiator>(core, sa, task);
}

}  // namespace culvert::ike::v2
