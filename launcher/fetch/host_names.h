// Names to addresses by c-ares: /etc/hosts and DNS. glibc's getaddrinfo would load the host's NSS modules into a static
// program, which breaks where the glibc is another one. So names that only NSS knows (LDAP, mDNS, NIS) are not found.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launcher/interrupt.h"

namespace holdall::launcher {

// Numeric addresses, in the order to try. An address stands for itself. Throws FetchFailure.
std::vector<std::string> addresses_of(const std::string& host, std::chrono::seconds timeout,
                                      const InterruptGuard& interrupt);

}  // namespace holdall::launcher
