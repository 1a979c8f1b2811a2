#include "ike/codec/message.hpp"

#include <string_view>

#include <fmt/format.h>

namespace culvert::ike::codec {

namespace {

template <typename Number>
std::string word_for(std::string_view name, Number value) {
  return name == "unknown" ? fmt::format("{}", static_cast<unsigned>(value)) : std::string(name);
}

std::string word_for(const Payload& payload) {
  if (const auto* notify = std::get_if<NotifyPayload>(&payload)) {
    return fmt::format("N({})", word_for(model::name_of(notify->type), notify->type));
  }
  const model::PayloadType type = type_of(payload);
  return word_for(model::name_of(type), type);
}

}  // namespace

const NotifyPayload* Message::notify(model::NotifyType type) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<NotifyPayload>(&payload);
    if (found != nullptr && found->type == type) return found;
  }
  return nullptr;
}

const NotifyPayload* Message::error_notify() const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<NotifyPayload>(&payload);
    if (found != nullptr && found->is_error()) return found;
  }
  return nullptr;
}

const IdPayload* Message::id(model::Role side) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<IdPayload>(&payload);
    if (found != nullptr && found->side == side) return found;
  }
  return nullptr;
}

const TsPayload* Message::ts(model::Role side) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<TsPayload>(&payload);
    if (found != nullptr && found->side == side) return found;
  }
  return nullptr;
}

std::size_t Message::count(model::PayloadType type) const {
  std::size_t number = 0;
  for (const Payload& payload : payloads) {
    if (type_of(payload) == type) ++number;
  }
  return number;
}

void Message::add_notify(model::NotifyType type, ByteView data) {
  add(NotifyPayload{.type = type, .data = to_bytes(data)});
}

std::optional<std::uint8_t> unsupported_critical(const std::vector<Payload>& payloads) {
  for (const Payload& payload : payloads) {
    const auto* unknown = std::get_if<UnknownPayload>(&payload);
    if (unknown != nullptr && unknown->critical) return unknown->type;
  }
  return std::nullopt;
}

std::string summary(const Message& message) {
  std::string text =
      fmt::format("{} {} {} [", word_for(model::name_of(message.header.exchange), message.header.exchange),
                  message.header.response ? "response" : "request", message.header.message_id.value());
  bool first = true;
  for (const Payload& payload : message.payloads) {
    if (!first) text += ' ';
    first = false;
    text += word_for(payload);
  }
  text += ']';
  return text;
}

}  // namespace culvert::ike::codec
