// The service manager that started the launcher, if it waits for readiness (sd_notify(3)): systemd with Type=notify.
#pragma once

#include <string>

namespace holdall::launcher {

// Sends lines such as "READY=1" to the address that NOTIFY_SOCKET names: a path, or "@" and an abstract name. Nothing
// happens without one. A failure is ignored: the manager's own time limit tells of it.
void tell_service_manager(const std::string& address, const std::string& lines);

}  // namespace holdall::launcher
