// The service manager's side of life: sd_notify, without effect where nobody listens.
#pragma once

#include <string>

namespace culvert::daemon {

void notify_ready(const std::string& status);
void notify_stopping();
void notify_reloading();

}  // namespace culvert::daemon
